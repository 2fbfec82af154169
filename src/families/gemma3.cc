#include <cmath>

#include "families/family.h"
#include "families/rope_scaling.h"
#include "families/text_decoder.h"

namespace wattle {
namespace {

constexpr int64_t kPattern = 6;       // five layers with a sliding window, then one that sees everything
constexpr double kLocalBase = 10000;  // rope base of the layers with a window
constexpr int64_t kHeadDim = 256;     // what the reference takes where config.json says nothing
constexpr int64_t kLayersOf27B = 62;  // Gemma 3 27B alone scales its queries by width / heads

bool is_local(int64_t layer) {
  return layer % kPattern != kPattern - 1;
}

/// Gemma 3's constants are part of the architecture in GGUF: a model with others would compute something else.
void read_config(ConfigReader& config) {
  const int64_t layers = config.integer("num_hidden_layers", "block_count");
  config.integer("max_position_embeddings", "context_length");
  config.integer("hidden_size", "embedding_length");
  config.integer("intermediate_size", "feed_forward_length");
  const int64_t heads = config.integer("num_attention_heads", "attention.head_count");
  config.integer("num_key_value_heads", "attention.head_count_kv", heads);
  const int64_t head_dim = config.integer("head_dim", "attention.key_length", kHeadDim);
  config.set("attention.value_length", Value::of(head_dim));
  config.integer("sliding_window", "attention.sliding_window", 4096);
  config.number("rms_norm_eps", "attention.layer_norm_rms_epsilon", 1e-6);
  config.integer("vocab_size", "vocab_size", 262208);
  config.expect("hidden_activation", "gelu_pytorch_tanh");
  config.expect("sliding_window_pattern", kPattern);
  config.expect("_sliding_window_pattern", kPattern);
  config.expect("rope_local_base_freq", kLocalBase);
  config.expect("attention_bias", false);
  config.expect("use_bidirectional_attention", false);
  config.expect("final_logit_softcapping", nullptr);
  config.expect("attn_logit_softcapping", nullptr);
  if (layers == kLayersOf27B) {
    config.ignore({"query_pre_attn_scalar"});
  } else {
    config.expect("query_pre_attn_scalar", head_dim);
  }
  if (const nlohmann::json* types = config.json().find("layer_types")) {
    config.ignore({"layer_types"});
    for (size_t i = 0; i < types->size(); ++i) {
      if (types->at(i) != (is_local(static_cast<int64_t>(i)) ? "sliding_attention" : "full_attention"))
        fail("{}: layer_types has another order than gemma3's; use another model", config.origin());
    }
  }
  read_rope(config, head_dim, 1000000);
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  const AttentionShape shape = hyper.attention();
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  d.prefixes({"model.", "language_model."});
  d.buffers({".rotary_emb.inv_freq"});
  d.left_out({"vision_tower.", "multi_modal_projector."});
  d.table(Role::kEmbedding, "token_embd", "embed_tokens", hyper.vocabulary(), width);
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("layers.{}.", layer));
    d.norm("attn_norm", "input_layernorm", width, false, add_one());
    d.linear({.name = "attn_q", .source = "self_attn.q_proj", .outputs = queries, .inputs = width, .bias = false});
    d.linear({.name = "attn_k", .source = "self_attn.k_proj", .outputs = keys, .inputs = width, .bias = false});
    d.linear({.name = "attn_v", .source = "self_attn.v_proj", .outputs = keys, .inputs = width, .bias = false});
    d.norm("attn_q_norm", "self_attn.q_norm", shape.head_dim, false, add_one());
    d.norm("attn_k_norm", "self_attn.k_norm", shape.head_dim, false, add_one());
    d.linear({.name = "attn_output", .source = "self_attn.o_proj", .outputs = width, .inputs = queries, .bias = false});
    d.norm("post_attention_norm", "post_attention_layernorm", width, false, add_one());
    d.norm("ffn_norm", "pre_feedforward_layernorm", width, false, add_one());
    d.linear({.name = "ffn_gate", .source = "mlp.gate_proj", .outputs = inner, .inputs = width, .bias = false});
    d.linear({.name = "ffn_up", .source = "mlp.up_proj", .outputs = inner, .inputs = width, .bias = false});
    d.linear({.name = "ffn_down", .source = "mlp.down_proj", .outputs = width, .inputs = inner, .bias = false});
    d.norm("post_ffw_norm", "post_feedforward_layernorm", width, false, add_one());
  }
  d.begin("", "");
  d.norm("output_norm", "norm", width, false, add_one());
  d.table(Role::kOutput, "output", "lm_head", hyper.vocabulary(), width, {}, true);
}

/// Gemma 3 (Gemma Team 2025): scaled embeddings, norms before and after attention and feed-forward, normalised queries
/// and keys, a sliding window in five of six layers, two rope bases, a tanh-GELU gate. The files' norm weights already
/// include the 1 that the report adds.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions& options) {
  AttentionShape attention = hyper.attention();
  if (hyper.layers() == kLayersOf27B)
    attention.scale = 1 / std::sqrt(static_cast<float>(hyper.width() / attention.heads));
  const auto global = rope_of(weights, hyper, attention.head_dim, RopePairs::kHalves, 1000000);
  const auto local = std::make_shared<Rope>(attention.head_dim, kLocalBase, RopePairs::kHalves);
  DecoderPlan plan = decoder_plan(hyper, {.width = hyper.width(),
                                          .inner_width = hyper.inner_width(),
                                          .attention = attention,
                                          .norm = NormKind::kRms,
                                          .epsilon = hyper.epsilon(),
                                          .function = ActivationFunction::kGeluTanh,
                                          .rope = global});
  plan.embedding.scale = std::sqrt(static_cast<float>(hyper.width()));
  const int64_t window = hyper.count("attention.sliding_window", 1, 1 << 24);
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (!is_local(static_cast<int64_t>(i))) continue;
    plan.layers[i].window = window;
    plan.layers[i].rope = local;
  }
  plan.ropes = {global, local};
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gemma3_text", "gemma3"};

}  // namespace

const Family& gemma3_family() {
  static constexpr Family kFamily{"gemma3", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle
