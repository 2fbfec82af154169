#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config);
  config.activation("hidden_act", "silu");
  config.integer_if_there("sliding_window", "attention.sliding_window");
  config.ignore({"original_max_position_embeddings"});  // read where rope_scaling asks for it
  read_rope(config, head_dim);
  config.tied(false);
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_llama(hyper, {.fused = true}, d);
}

/// Phi-3 (Abdin et al. 2024): Llama's layers with fused matrices, a sliding window in all of them or in none,
/// and rotary frequencies of their own for long sequences.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_llama(weights, hyper, options, RopePairs::kHalves);
}

constexpr std::string_view kTypes[] = {"phi3"};

}  // namespace

const Family& phi3_family() {
  static constexpr Family kFamily{"phi3", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
