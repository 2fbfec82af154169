#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kHeadDim = 128;  // what the reference takes where config.json says nothing

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config, kHeadDim);
  config.activation("hidden_act", "silu");
  read_layer_windows(config);
  read_rope(config, head_dim);
  config.tied(false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  using Biases = LlamaTensors::Biases;
  describe_llama(
      hyper, {.query_key_value = Biases::kInSomeFiles, .others = Biases::kInSomeFiles, .head_norms = true},
      d);
}

/// Qwen3 (Yang et al. 2025): Llama's layers with normalised queries and keys.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_llama(weights, hyper, options, RopePairs::kHalves);
}

constexpr std::string_view kTypes[] = {"qwen3"};

}  // namespace

const Family& qwen3_family() {
  static constexpr Family kFamily{"qwen3", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
