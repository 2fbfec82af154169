#include "families/llama.h"

#include "families/rope_scaling.h"

namespace wattle::inline families {

int64_t read_llama_config(ConfigReader& config, int64_t head_dim, bool rms_norm) {
  config.integer("num_hidden_layers", "block_count");
  config.integer("max_position_embeddings", "context_length");
  const int64_t width = config.integer("hidden_size", "embedding_length");
  config.integer("intermediate_size", "feed_forward_length");
  const int64_t heads = config.integer("num_attention_heads", "attention.head_count");
  if (heads < 1) fail("{}: num_attention_heads is {}; correct the file", config.origin(), heads);
  config.integer("num_key_value_heads", "attention.head_count_kv", heads);
  head_dim = config.integer("head_dim", "attention.key_length", head_dim > 0 ? head_dim : width / heads);
  config.set("attention.value_length", Value::of(head_dim));
  if (rms_norm) config.number("rms_norm_eps", "attention.layer_norm_rms_epsilon", 1e-6);
  config.integer_if_there("vocab_size", "vocab_size");
  config.ignore({"attention_bias", "mlp_bias"});  // the tensors say it
  return head_dim;
}

void describe_llama(const Hyperparameters& hyper, const LlamaTensors& tensors, Description& d) {
  using Biases = LlamaTensors::Biases;
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  const AttentionShape shape = hyper.attention();
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  const auto linear = [&](std::string_view name, std::string_view source, int64_t outputs, int64_t inputs,
                          Biases biases, const Change& change = {}) {
    d.linear({.name = name,
              .source = source,
              .outputs = outputs,
              .inputs = inputs,
              .bias = biases != Biases::kNever,
              .change = change,
              .bias_change = change,
              .bias_optional = biases == Biases::kInSomeFiles});
  };
  const Change of_queries = tensors.interleaved ? interleave_rows(shape.heads) : Change();
  const Change of_keys = tensors.interleaved ? interleave_rows(shape.kv_heads) : Change();
  d.prefixes({"model.", "language_model."});
  d.buffers({".rotary_emb.inv_freq"});
  d.table(Role::kEmbedding, "token_embd", "embed_tokens", hyper.vocabulary(), width);
  for (const char* factors : {"rope_freqs.weight", "rope_factors_long.weight", "rope_factors_short.weight"})
    d.tensor({factors, "", {kAnySize}, Role::kTable, {}, true});
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("layers.{}.", layer));
    d.norm("attn_norm", "input_layernorm", width, tensors.norm_bias, tensors.norm);
    if (tensors.fused) {
      linear("attn_qkv", "self_attn.qkv_proj", queries + 2 * keys, width, tensors.query_key_value);
    } else {
      linear("attn_q", "self_attn.q_proj", queries, width, tensors.query_key_value, of_queries);
      linear("attn_k", "self_attn.k_proj", keys, width, tensors.query_key_value, of_keys);
      linear("attn_v", "self_attn.v_proj", keys, width, tensors.query_key_value);
    }
    if (tensors.head_norms) {
      d.norm("attn_q_norm", "self_attn.q_norm", shape.head_dim, false, tensors.norm);
      d.norm("attn_k_norm", "self_attn.k_norm", shape.head_dim, false, tensors.norm);
    }
    linear("attn_output", "self_attn.o_proj", width, queries, tensors.others);
    if (tensors.sandwich)
      d.norm("post_attention_norm", "post_attention_layernorm", width, false, tensors.norm);
    if (tensors.feed_forward_norm != Biases::kNever)
      d.norm("ffn_norm", tensors.sandwich ? "pre_feedforward_layernorm" : "post_attention_layernorm", width,
             tensors.norm_bias, tensors.norm, tensors.feed_forward_norm == Biases::kInSomeFiles);
    if (!tensors.fused) linear("ffn_gate", "mlp.gate_proj", inner, width, tensors.others);
    linear("ffn_up", tensors.fused ? "mlp.gate_up_proj" : "mlp.up_proj", tensors.fused ? 2 * inner : inner,
           width, tensors.others);
    linear("ffn_down", "mlp.down_proj", width, inner, tensors.others);
    if (tensors.sandwich) d.norm("post_ffw_norm", "post_feedforward_layernorm", width, false, tensors.norm);
  }
  d.begin("", "");
  d.norm("output_norm", "norm", width, tensors.norm_bias, tensors.norm);
  d.table(Role::kOutput, "output", "lm_head", hyper.vocabulary(), width, {}, true);
  describe_decoder_head(hyper, d);
}

DecoderPlan llama_plan(const Hyperparameters& hyper, ActivationFunction function,
                       std::shared_ptr<Rope> rope) {
  DecoderPlan plan = decoder_plan(hyper, {.width = hyper.width(),
                                          .inner_width = hyper.inner_width(),
                                          .attention = hyper.attention(),
                                          .norm = NormKind::kRms,
                                          .epsilon = hyper.epsilon(),
                                          .function = function,
                                          .rope = rope});
  plan.ropes = {std::move(rope)};
  return plan;
}

void read_window_layers(ConfigReader& config, const std::function<bool(int64_t layer)>& has_window) {
  std::vector<int64_t> layers;
  config.ignore({"layer_types"});
  const nlohmann::json* types = config.json().find("layer_types");
  for (int64_t i = 0; i < config.integer_of("num_hidden_layers", 0); ++i) {
    if (types == nullptr) {
      layers.push_back(has_window(i) ? 1 : 0);
      continue;
    }
    const auto index = static_cast<size_t>(i);
    const std::string type =
        index < types->size() && types->at(index).is_string() ? types->at(index).get<std::string>() : "";
    if (type != "sliding_attention" && type != "full_attention")
      fail("{}: layer_types says \"{}\" of layer {}; known are full_attention and sliding_attention",
           config.origin(), type, i);
    layers.push_back(type == "sliding_attention" ? 1 : 0);
  }
  config.set("attention.sliding_window_pattern", Value::of(std::move(layers)));
}

void read_layer_windows(ConfigReader& config) {
  const bool used = config.flag_of("use_sliding_window", config.has("sliding_window"));
  const int64_t window = config.integer_of("sliding_window", 0);
  const int64_t first = config.integer_of("max_window_layers", 0);
  config.ignore({"layer_types"});
  if (!used || window == 0) return;
  config.set("attention.sliding_window", Value::of(window));
  read_window_layers(config, [&](int64_t layer) { return layer >= first; });
}

bool has_window(const Hyperparameters& hyper, int64_t layer, bool otherwise) {
  const Value* pattern = hyper.find("attention.sliding_window_pattern");
  if (pattern == nullptr) return otherwise;
  if (const auto* array = std::get_if<Value::Array>(&pattern->data)) {
    const auto at = [layer](const auto& flags) {
      return layer < static_cast<int64_t>(flags.size()) && flags[static_cast<size_t>(layer)] == 1;
    };
    if (const auto* flags = std::get_if<std::vector<bool>>(array)) return at(*flags);
    if (const auto* flags = std::get_if<std::vector<int64_t>>(array)) return at(*flags);
  }
  const int64_t period = hyper.count("attention.sliding_window_pattern", 1, 1024);
  return layer % period != period - 1;
}

void set_layer_windows(const Hyperparameters& hyper, DecoderPlan& plan) {
  const int64_t window = hyper.count_or("attention.sliding_window", 0, 0, 1 << 24);
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (has_window(hyper, static_cast<int64_t>(i), true)) plan.layers[i].window = window;
  }
}

std::unique_ptr<Network> build_llama(Weights& weights, const Hyperparameters& hyper,
                                     const NetworkOptions& options, RopePairs pairs) {
  DecoderPlan plan = llama_plan(hyper, hyper.activation(ActivationFunction::kSilu),
                                rope_of(weights, hyper, hyper.attention().head_dim, pairs, 10000));
  set_layer_windows(hyper, plan);
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

namespace {

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config);
  config.activation("hidden_act", "silu");
  if (config.word_of("model_type", "") == "mistral") read_layer_windows(config);
  config.ignore({"pretraining_tp"});
  read_rope(config, head_dim);
  config.tied(false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  using Biases = LlamaTensors::Biases;
  describe_llama(
      hyper, {.query_key_value = Biases::kInSomeFiles, .others = Biases::kInSomeFiles, .interleaved = true},
      d);
}

/// Llama (Touvron et al. 2023): pre-norm layers with RMSNorm, rotary positions, grouped heads and a SiLU
/// gate; Mistral (Jiang et al. 2023) adds a sliding window, SmolLM nothing. GGUF's rows of queries and keys
/// are permuted so that rotation turns neighbours.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_llama(weights, hyper, options, RopePairs::kNeighbours);
}

constexpr std::string_view kTypes[] = {"llama", "mistral"};

}  // namespace

const Family& llama_family() {
  static constexpr Family kFamily{"llama", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
