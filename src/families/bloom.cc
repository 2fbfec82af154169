#include "families/gpt.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kContext = 2048;  // what the published models were trained with; config.json does not say

void read_config(ConfigReader& config) {
  config.integer(config.has("n_embed") ? "n_embed" : "hidden_size", "embedding_length");
  const int64_t width = config.integer_of(config.has("n_embed") ? "n_embed" : "hidden_size", 0);
  config.integer(config.has("n_layer") ? "n_layer" : "num_hidden_layers", "block_count");
  config.integer(config.has("n_head") ? "n_head" : "num_attention_heads", "attention.head_count");
  config.ignore({"hidden_size", "num_hidden_layers", "num_attention_heads", "attention_softmax_in_fp32",
                 "bias_dropout_fusion", "masked_softmax_fusion", "offset_alibi", "pretraining_pp",
                 "seq_length", "skip_bias_add", "skip_bias_add_qkv", "slow_but_exact", "unk_token_id",
                 "n_inner"});
  config.set("feed_forward_length", Value::of(4 * width));
  config.set("context_length", Value::of(config.integer_of("seq_length", kContext)));
  config.integer_if_there("vocab_size", "vocab_size");
  config.number("layer_norm_epsilon", "attention.layer_norm_epsilon", 1e-5);
  config.flag("apply_residual_connection_post_layernorm", "residual_of_norm", false);
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_gpt(hyper,
               {.words = "word_embeddings",
                .words_norm = "word_embeddings_layernorm",
                .attention_norm = "input_layernorm",
                .feed_forward_norm = "post_attention_layernorm",
                .query_key_value = "self_attention.query_key_value",
                .attention_output = "self_attention.dense",
                .up = "mlp.dense_h_to_4h",
                .down = "mlp.dense_4h_to_h"},
               {.query_key_value_rows = regroup_rows(hyper.attention().heads, 3)}, d);
}

/// BLOOM and BLOOMZ (Scao et al. 2022): normalised embeddings, biases by distance (ALiBi) instead of
/// positions.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  LayerPlan layer = gpt_layer(hyper, ActivationFunction::kGeluTanh);
  layer.residual_of_norm = hyper.flag_or("residual_of_norm", false);
  layer.bias = alibi(layer.attention.heads, hyper.context_length());
  DecoderPlan plan = decoder_plan(hyper, layer);
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"bloom"};

}  // namespace

const Family& bloom_family() {
  static constexpr Family kFamily{"bloom", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
