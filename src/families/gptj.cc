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
  describe_gpt(hyper,
               {.feed_forward_norm = "",
                .query = "attn.q_proj",
                .key = "attn.k_proj",
                .value = "attn.v_proj",
                .attention_output = "attn.out_proj",
                .up = "mlp.fc_in",
                .down = "mlp.fc_out"},
               {.query_key_value = GptTensors::Biases::kNever,
                .attention_output = GptTensors::Biases::kNever,
                .output = GptTensors::Biases::kAlways},
               d);
}

/// GPT-J (Wang and Komatsuzaki 2021): attention and feed-forward read one norm, side by side; the first
/// values of a head are rotated, neighbours together.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  LayerPlan layer = gpt_layer(hyper, ActivationFunction::kGeluTanh);
  layer.parallel = true;
  DecoderPlan plan = rotated_plan(weights, hyper, layer, RopePairs::kNeighbours);
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gptj"};

}  // namespace

const Family& gptj_family() {
  static constexpr Family kFamily{"gptj", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
