#include "families/bart.h"

namespace wattle::inline families {
namespace {

constexpr BartStyle kStyle{
    .norm_first = true, .embedding_norm = false, .positions = Positions::kSinusoids, .first_position = 0};

void read_config(ConfigReader& config) {
  read_bart_config(config, "gelu");
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_bart(hyper, kStyle, d);
}

/// PEGASUS (Zhang et al. 2020): norms first, sinusoids for positions.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_bart(weights, hyper, kStyle, options);
}

constexpr std::string_view kTypes[] = {"pegasus"};

}  // namespace

const Family& pegasus_family() {
  static constexpr Family kFamily{"pegasus", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
