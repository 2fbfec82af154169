#include <cmath>

#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kHeadDim = 256;  // what the reference takes where config.json says nothing

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config, kHeadDim);
  config.ignore({"hidden_act", "cache_implementation"});
  config.activation("hidden_activation", "gelu_pytorch_tanh");
  config.expect("use_bidirectional_attention", false);
  config.integer("sliding_window", "attention.sliding_window", 4096);
  read_window_layers(config, [](int64_t layer) { return layer % 2 == 0; });
  const double before = config.number_of("query_pre_attn_scalar", 256);
  config.set("attention.scale", Value::of(1 / std::sqrt(before)));
  if (config.has("attn_logit_softcapping")) config.number("attn_logit_softcapping", "attn_logit_softcapping");
  if (config.has("final_logit_softcapping"))
    config.number("final_logit_softcapping", "final_logit_softcapping");
  read_rope(config, head_dim);
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  using Biases = LlamaTensors::Biases;
  describe_llama(hyper,
                 {.query_key_value = Biases::kInSomeFiles,
                  .others = Biases::kInSomeFiles,
                  .sandwich = true,
                  .norm = add_one()},
                 d);
}

/// Gemma 2 (Gemma Team 2024): norms before and after attention and feed-forward, soft caps of scores and
/// logits, a sliding window in every other layer.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  DecoderPlan plan =
      llama_plan(hyper, hyper.activation(ActivationFunction::kGeluTanh),
                 rope_of(weights, hyper, hyper.attention().head_dim, RopePairs::kHalves, 10000));
  plan.embedding.scale = std::sqrt(static_cast<float>(hyper.width()));
  if (hyper.has("final_logit_softcapping"))
    plan.logit_softcap = static_cast<float>(hyper.positive("final_logit_softcapping"));
  const int64_t window = hyper.count("attention.sliding_window", 1, 1 << 24);
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (hyper.has("attn_logit_softcapping"))
      plan.layers[i].attention.softcap = static_cast<float>(hyper.positive("attn_logit_softcapping"));
    if (has_window(hyper, static_cast<int64_t>(i), i % 2 == 0)) plan.layers[i].window = window;
  }
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gemma2"};

}  // namespace

const Family& gemma2_family() {
  static constexpr Family kFamily{"gemma2", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
