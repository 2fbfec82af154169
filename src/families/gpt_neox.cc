#include "families/gpt.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  const int64_t width = config.integer("hidden_size", "embedding_length");
  config.integer("num_hidden_layers", "block_count");
  const int64_t heads = config.integer("num_attention_heads", "attention.head_count");
  if (heads < 1) fail("{}: num_attention_heads is {}; correct the file", config.origin(), heads);
  config.integer("intermediate_size", "feed_forward_length", 4 * width);
  config.integer("max_position_embeddings", "context_length", 2048);
  config.integer_if_there("vocab_size", "vocab_size");
  config.number("layer_norm_eps", "attention.layer_norm_epsilon", 1e-5);
  config.flag("use_parallel_residual", "use_parallel_residual", true);
  config.activation("hidden_act", "gelu");
  config.ignore({"attention_bias"});  // the tensors say it
  if (config.has("rotary_emb_base") || config.has("rotary_pct")) {
    config.ignore({"rope_theta", "partial_rotary_factor"});  // newer libraries write both, and read these
    read_rope_scaling(config, width / heads, config.number_of("rotary_emb_base", 10000),
                      config.number_of("rotary_pct", 0.25));
  } else {
    read_rope(config, width / heads, 10000, 0.25);
  }
  config.tied(false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  using Biases = GptTensors::Biases;
  describe_gpt(hyper,
               {.prefixes = {"gpt_neox."},
                .words = "embed_in",
                .last_norm = "final_layer_norm",
                .output = "embed_out",
                .layer = "layers.{}.",
                .attention_norm = "input_layernorm",
                .feed_forward_norm = "post_attention_layernorm",
                .query_key_value = "attention.query_key_value",
                .attention_output = "attention.dense",
                .up = "mlp.dense_h_to_4h",
                .down = "mlp.dense_4h_to_h"},
               {.query_key_value = Biases::kInSomeFiles,
                .attention_output = Biases::kInSomeFiles,
                .query_key_value_rows = regroup_rows(hyper.attention().heads, 3)},
               d);
}

/// GPT-NeoX (Black et al. 2022), Pythia: attention and feed-forward side by side, each with its norm (or one
/// after the other), a part of each head rotated.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  LayerPlan layer = gpt_layer(hyper, ActivationFunction::kGelu);
  layer.parallel = hyper.flag_or("use_parallel_residual", true);
  DecoderPlan plan = rotated_plan(weights, hyper, layer, RopePairs::kHalves);
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gpt_neox"};

}  // namespace

const Family& gpt_neox_family() {
  static constexpr Family kFamily{"gptneox", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
