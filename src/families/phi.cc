#include "families/gpt.h"
#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config, 0, false);
  config.number("layer_norm_eps", "attention.layer_norm_epsilon", 1e-5);
  config.activation("hidden_act", "gelu_new");
  config.ignore({"qk_layernorm"});  // the tensors say it
  read_rope(config, head_dim, 10000, 0.5);
  config.tied(false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const AttentionShape shape = hyper.attention();
  describe_gpt(hyper,
               {.prefixes = {"model."},
                .words = "embed_tokens",
                .last_norm = "final_layernorm",
                .layer = "layers.{}.",
                .attention_norm = "input_layernorm",
                .feed_forward_norm = "",
                .query = "self_attn.q_proj",
                .key = "self_attn.k_proj",
                .value = "self_attn.v_proj",
                .attention_output = "self_attn.dense",
                .up = "mlp.fc1",
                .down = "mlp.fc2"},
               {.output = GptTensors::Biases::kAlways}, d);
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("layers.{}.", layer));
    d.norm("attn_q_norm", "self_attn.q_layernorm", shape.head_dim, true, {}, true);
    d.norm("attn_k_norm", "self_attn.k_layernorm", shape.head_dim, true, {}, true);
  }
}

/// Phi 1 and 2 (Li et al. 2023): attention and feed-forward read one norm, side by side; a part of each head
/// is rotated; biases everywhere.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  LayerPlan layer = gpt_layer(hyper, ActivationFunction::kGeluTanh);
  layer.parallel = true;
  DecoderPlan plan = rotated_plan(weights, hyper, layer, RopePairs::kHalves);
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"phi"};

}  // namespace

const Family& phi_family() {
  static constexpr Family kFamily{"phi2", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
