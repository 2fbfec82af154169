#include "families/bart.h"

namespace wattle::inline families {
namespace {

constexpr BartStyle kStyle{
    .norm_first = true, .embedding_norm = false, .positions = Positions::kTensorSinusoids, .padding = 1};

void read_config(ConfigReader& config) {
  read_bart_config(config, "relu");
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_bart(hyper, kStyle, d);
}

/// M2M-100 (Fan et al. 2021), NLLB: norms first, sinusoids for positions.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_bart(weights, hyper, kStyle, options);
}

constexpr std::string_view kTypes[] = {"m2m_100"};

}  // namespace

const Family& m2m_100_family() {
  static constexpr Family kFamily{"m2m_100", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
