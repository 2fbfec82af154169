#include "families/gpt.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  read_gpt2_sizes(config);
  config.activation("activation_function", "gelu_new");
  config.ignore({"reorder_and_upcast_attn"});  // of half precision
  config.expect("add_cross_attention", false);
  if (!config.flag_of("scale_attn_weights", true)) config.set("attention.scale", Value::of(1.0));
  if (config.flag_of("scale_attn_by_inverse_layer_idx", false))
    config.set("attention.scale_by_layer", Value::of(true));
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_gpt(hyper,
               {.positions = "wpe",
                .query_key_value = "attn.c_attn",
                .attention_output = "attn.c_proj",
                .up = "mlp.c_fc",
                .down = "mlp.c_proj"},
               {.matrix = transpose()}, d);
}

/// GPT-2 (Radford et al. 2019): learned positions, pre-norm layers, fused queries, keys and values.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  DecoderPlan plan = decoder_plan(hyper, gpt_layer(hyper, ActivationFunction::kGeluTanh));
  plan.embedding.positions = Positions::kLearned;
  if (hyper.flag_or("attention.scale_by_layer", false)) {
    for (size_t i = 0; i < plan.layers.size(); ++i)
      plan.layers[i].attention.scale /= static_cast<float>(i + 1);
  }
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gpt2"};

}  // namespace

const Family& gpt2_family() {
  static constexpr Family kFamily{"gpt2", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
