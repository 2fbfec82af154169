#include "families/bart.h"

namespace wattle::inline families {
namespace {

constexpr BartStyle kStyle{.embedding_norm = false, .positions = Positions::kSinusoids, .first_position = 0};

void read_config(ConfigReader& config) {
  read_bart_config(config, "gelu");
  const int64_t words = config.integer_of("decoder_vocab_size", config.integer_of("vocab_size", 0));
  if (!config.flag_of("share_encoder_decoder_embeddings", true))
    config.set("decoder_vocab_size", Value::of(words));
}

void describe(const Hyperparameters& hyper, Description& d) {
  describe_bart(hyper, kStyle, d);
}

/// Marian (Junczys-Dowmunt et al. 2018): norms last, sinusoids for positions, a bias of the logits.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  return build_bart(weights, hyper, kStyle, options);
}

constexpr std::string_view kTypes[] = {"marian"};

}  // namespace

const Family& marian_family() {
  static constexpr Family kFamily{"marian", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
