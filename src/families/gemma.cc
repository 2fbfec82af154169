#include <cmath>

#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kHeadDim = 256;  // what the reference takes where config.json says nothing

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config, kHeadDim);
  // The first files say hidden_act, later ones correct it by hidden_activation.
  config.ignore({"hidden_act"});
  config.activation(config.has("hidden_activation") ? "hidden_activation" : "hidden_act",
                    "gelu_pytorch_tanh");
  config.expect("use_bidirectional_attention", false);
  read_rope(config, head_dim);
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  using Biases = LlamaTensors::Biases;
  describe_llama(
      hyper, {.query_key_value = Biases::kInSomeFiles, .others = Biases::kInSomeFiles, .norm = add_one()}, d);
}

/// Gemma (Gemma Team 2024): Llama's layers over scaled embeddings, with a tanh-GELU gate. The files' norm
/// weights already include the 1 that the report adds.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  DecoderPlan plan =
      llama_plan(hyper, hyper.activation(ActivationFunction::kGeluTanh),
                 rope_of(weights, hyper, hyper.attention().head_dim, RopePairs::kHalves, 10000));
  plan.embedding.scale = std::sqrt(static_cast<float>(hyper.width()));
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gemma"};

}  // namespace

const Family& gemma_family() {
  static constexpr Family kFamily{"gemma", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
