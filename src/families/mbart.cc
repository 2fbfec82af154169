#include "families/bart.h"

namespace wattle::inline families {
namespace {

constexpr BartStyle kStyle{.norm_first = true};

void read_config(ConfigReader& config) {
  read_bart_config(config, "gelu");
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_bart(hyper, kStyle, d);
}

/// mBART (Liu et al. 2020): BART with its norms before attention and feed-forward, and one at the end.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_bart(weights, hyper, kStyle, options);
}

constexpr std::string_view kTypes[] = {"mbart"};

}  // namespace

const Family& mbart_family() {
  static constexpr Family kFamily{"mbart", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
