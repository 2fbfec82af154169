#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config);
  config.activation("hidden_act", "silu");
  read_layer_windows(config);
  read_rope(config, head_dim);
  config.tied(false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_llama(hyper, {.query_key_value = LlamaTensors::Biases::kAlways}, d);
}

/// Qwen2 (Yang et al. 2024): Llama's layers with biases of queries, keys and values.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_llama(weights, hyper, options, RopePairs::kHalves);
}

constexpr std::string_view kTypes[] = {"qwen2"};

}  // namespace

const Family& qwen2_family() {
  static constexpr Family kFamily{"qwen2", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
