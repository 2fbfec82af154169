#include "families/family.h"
#include "families/rope_scaling.h"
#include "families/text_decoder.h"

namespace wattle {
namespace {

void read_config(ConfigReader& config) {
  config.integer("num_hidden_layers", "block_count");
  config.integer("max_position_embeddings", "context_length");
  const int64_t width = config.integer("hidden_size", "embedding_length");
  config.integer("intermediate_size", "feed_forward_length");
  const int64_t heads = config.integer("num_attention_heads", "attention.head_count");
  config.integer("num_key_value_heads", "attention.head_count_kv", heads);
  if (heads < 1) fail("{}: num_attention_heads is {}; correct the file", config.origin(), heads);
  const int64_t head_dim = config.integer("head_dim", "attention.key_length", width / heads);
  config.set("attention.value_length", Value::of(head_dim));
  config.number("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  config.integer("vocab_size", "vocab_size");
  config.expect("hidden_act", "silu");
  read_rope(config, head_dim);
  config.tied(false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  const AttentionShape shape = hyper.attention();
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  d.prefixes({"model."});
  d.buffers({".rotary_emb.inv_freq"});
  d.table(Role::kEmbedding, "token_embd", "embed_tokens", hyper.vocabulary(), width);
  d.tensor({"rope_freqs.weight", "", {kAnySize}, Role::kTable, {}, true});
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("layers.{}.", layer));
    d.norm("attn_norm", "input_layernorm", width, false);
    const Change by_queries = interleave_rows(shape.heads), by_keys = interleave_rows(shape.kv_heads);
    d.linear({.name = "attn_q", .source = "self_attn.q_proj", .outputs = queries, .inputs = width,
              .change = by_queries, .bias_change = by_queries, .bias_optional = true});
    d.linear({.name = "attn_k", .source = "self_attn.k_proj", .outputs = keys, .inputs = width,
              .change = by_keys, .bias_change = by_keys, .bias_optional = true});
    d.linear({.name = "attn_v", .source = "self_attn.v_proj", .outputs = keys, .inputs = width, .bias_optional = true});
    d.linear({.name = "attn_output", .source = "self_attn.o_proj", .outputs = width, .inputs = queries,
              .bias_optional = true});
    d.norm("ffn_norm", "post_attention_layernorm", width, false);
    d.linear({.name = "ffn_gate", .source = "mlp.gate_proj", .outputs = inner, .inputs = width, .bias_optional = true});
    d.linear({.name = "ffn_up", .source = "mlp.up_proj", .outputs = inner, .inputs = width, .bias_optional = true});
    d.linear({.name = "ffn_down", .source = "mlp.down_proj", .outputs = width, .inputs = inner, .bias_optional = true});
  }
  d.begin("", "");
  d.norm("output_norm", "norm", width, false);
  d.table(Role::kOutput, "output", "lm_head", hyper.vocabulary(), width, {}, true);
}

/// Llama (Touvron et al. 2023): pre-norm layers with RMSNorm, rotary positions, grouped heads and a SiLU gate. GGUF's
/// rows of queries and keys are permuted so that rotation turns neighbours.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions& options) {
  const AttentionShape attention = hyper.attention();
  const auto rope = rope_of(weights, hyper, attention.head_dim, RopePairs::kNeighbours, 10000);
  DecoderPlan plan = decoder_plan(hyper, {.width = hyper.width(),
                                          .inner_width = hyper.inner_width(),
                                          .attention = attention,
                                          .norm = NormKind::kRms,
                                          .epsilon = hyper.epsilon(),
                                          .function = ActivationFunction::kSilu,
                                          .rope = rope});
  plan.ropes = {rope};
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"llama"};

}  // namespace

const Family& llama_family() {
  static constexpr Family kFamily{"llama", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle
