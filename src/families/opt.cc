#include "families/gpt.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kFirstPosition = 2;  // fairseq counts positions from the padding id, 1, plus 1

int64_t word_width(const Hyperparameters& hyper) {
  return hyper.count("word_embedding_length", 1, 1 << 20);
}

bool is_norm_first(const Hyperparameters& hyper) {
  return hyper.flag_or("norm_first", true);
}
bool has_norm_weights(const Hyperparameters& hyper) {
  return hyper.flag_or("norm_weights", true);
}
bool has_last_norm(const Hyperparameters& hyper) {
  return hyper.flag_or("last_norm", true);
}

void read_config(ConfigReader& config) {
  const int64_t width = config.integer("hidden_size", "embedding_length");
  config.integer("num_hidden_layers", "block_count");
  config.integer("num_attention_heads", "attention.head_count");
  config.integer("ffn_dim", "feed_forward_length");
  config.integer("max_position_embeddings", "context_length");
  config.integer_if_there("vocab_size", "vocab_size");
  config.integer("word_embed_proj_dim", "word_embedding_length", width);
  config.set("attention.layer_norm_epsilon", Value::of(1e-5));
  const bool first = config.flag("do_layer_norm_before", "norm_first", true);
  config.set("last_norm", Value::of(first && !config.flag_of("_remove_final_layer_norm", false)));
  config.activation("activation_function", "relu");
  config.ignore({"enable_bias"});  // the tensors say it
  config.flag("layer_norm_elementwise_affine", "norm_weights", true);
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const bool norm_first = is_norm_first(hyper), norm_weights = has_norm_weights(hyper);
  const int64_t width = hyper.width(), words = word_width(hyper);
  const int64_t inner = hyper.inner_width();
  d.prefixes({"model.", "decoder."});
  d.table(Role::kEmbedding, "token_embd", "embed_tokens", hyper.vocabulary(), words);
  if (words != width) {
    d.linear({.name = "token_embd_proj",
              .source = "project_in",
              .outputs = width,
              .inputs = words,
              .bias = false});
    d.linear(
        {.name = "output_proj", .source = "project_out", .outputs = words, .inputs = width, .bias = false});
  }
  d.table(Role::kPosition, "position_embd", "embed_positions", hyper.context_length() + kFirstPosition,
          width);
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("layers.{}.", layer));
    const auto linear = [&](std::string_view name, std::string_view source, int64_t outputs, int64_t inputs) {
      d.linear({.name = name, .source = source, .outputs = outputs, .inputs = inputs, .bias_optional = true});
    };
    if (norm_weights)
      d.norm(norm_first ? "attn_norm" : "attn_output_norm", "self_attn_layer_norm", width, true);
    linear("attn_q", "self_attn.q_proj", width, width);
    linear("attn_k", "self_attn.k_proj", width, width);
    linear("attn_v", "self_attn.v_proj", width, width);
    linear("attn_output", "self_attn.out_proj", width, width);
    if (norm_weights) d.norm(norm_first ? "ffn_norm" : "layer_output_norm", "final_layer_norm", width, true);
    linear("ffn_up", "fc1", inner, width);
    linear("ffn_down", "fc2", width, inner);
  }
  d.begin("", "");
  if (norm_weights && has_last_norm(hyper)) d.norm("output_norm", "final_layer_norm", width, true);
  d.table(Role::kOutput, "output", "lm_head", hyper.vocabulary(), words, {}, true);
  describe_decoder_head(hyper, d);
}

/// OPT (Zhang et al. 2022): GPT with ReLU; the 350m has its norms after attention and feed-forward and
/// narrower words.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  LayerPlan layer = gpt_layer(hyper, ActivationFunction::kRelu);
  if (!has_norm_weights(hyper)) {
    layer.plain_norms = is_norm_first(hyper)
                            ? std::vector<std::string>{"attn_norm", "ffn_norm"}
                            : std::vector<std::string>{"attn_output_norm", "layer_output_norm"};
  }
  DecoderPlan plan = decoder_plan(hyper, layer);
  plan.plain_norm = !has_norm_weights(hyper) && has_last_norm(hyper);
  plan.embedding.word_width = word_width(hyper);
  plan.embedding.project_words = true;
  plan.embedding.positions = Positions::kLearned;
  plan.embedding.first_position = kFirstPosition;
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"opt"};

}  // namespace

const Family& opt_family() {
  static constexpr Family kFamily{"opt", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
