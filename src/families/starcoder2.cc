#include "families/gpt.h"
#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config, 0, false);
  config.number("norm_epsilon", "attention.layer_norm_epsilon", 1e-5);
  config.activation("hidden_act", "gelu_pytorch_tanh");
  config.expect("mlp_type", "default");
  config.expect("norm_type", "layer_norm");
  config.ignore({"use_bias", "residual_dropout"});  // the tensors say the first
  read_layer_windows(config);
  read_rope(config, head_dim);
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  using Biases = GptTensors::Biases;
  describe_gpt(hyper,
               {.prefixes = {"model."},
                .words = "embed_tokens",
                .last_norm = "norm",
                .layer = "layers.{}.",
                .attention_norm = "input_layernorm",
                .feed_forward_norm = "post_attention_layernorm",
                .query = "self_attn.q_proj",
                .key = "self_attn.k_proj",
                .value = "self_attn.v_proj",
                .attention_output = "self_attn.o_proj",
                .up = "mlp.c_fc",
                .down = "mlp.c_proj"},
               {.query_key_value = Biases::kInSomeFiles,
                .attention_output = Biases::kInSomeFiles,
                .feed_forward = Biases::kInSomeFiles},
               d);
}

/// StarCoder2 (Lozhkov et al. 2024): GPT with rotary positions, grouped heads and a sliding window.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  LayerPlan layer = gpt_layer(hyper, ActivationFunction::kGeluTanh);
  DecoderPlan plan = rotated_plan(weights, hyper, layer, RopePairs::kHalves);
  set_layer_windows(hyper, plan);
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"starcoder2"};

}  // namespace

const Family& starcoder2_family() {
  static constexpr Family kFamily{"starcoder2", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
