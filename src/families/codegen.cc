#include "families/gpt.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  read_gpt2_sizes(config);
  config.integer("rotary_dim", "rope.dimension_count", 64);
  config.activation("activation_function", "gelu_new");
  config.tied(false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  constexpr int64_t kGroups = 4;  // processors of its training
  describe_gpt(hyper,
               {.feed_forward_norm = "",
                .query_key_value = "attn.qkv_proj",
                .attention_output = "attn.out_proj",
                .up = "mlp.fc_in",
                .down = "mlp.fc_out"},
               {.query_key_value = GptTensors::Biases::kNever,
                .attention_output = GptTensors::Biases::kNever,
                .output = GptTensors::Biases::kAlways,
                .query_key_value_rows = regroup_rows(kGroups, 3, {0, 2, 1})},
               d);
}

/// CodeGen (Nijkamp et al. 2023): GPT-J whose queries, values and keys lie fused in four groups.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  LayerPlan layer = gpt_layer(hyper, ActivationFunction::kGeluTanh);
  layer.parallel = true;
  DecoderPlan plan = rotated_plan(weights, hyper, layer, RopePairs::kNeighbours);
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"codegen"};

}  // namespace

const Family& codegen_family() {
  static constexpr Family kFamily{"codegen", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
