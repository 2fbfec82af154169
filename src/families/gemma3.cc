#include <cmath>

#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kPattern = 6;       // five layers with a sliding window, then one that sees everything
constexpr double kLocalBase = 10000;  // rope base of the layers with a window
constexpr int64_t kHeadDim = 256;     // what the reference takes where config.json says nothing
constexpr int64_t kLayersOf27B = 62;  // Gemma 3 27B alone scales its queries by width / heads

bool is_local(int64_t layer) {
  return layer % kPattern != kPattern - 1;
}

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config, kHeadDim);
  config.integer("sliding_window", "attention.sliding_window", 4096);
  config.activation("hidden_activation", "gelu_pytorch_tanh");
  config.expect("use_bidirectional_attention", false);
  config.expect("attn_logit_softcapping", nullptr);
  if (config.has("final_logit_softcapping"))
    config.number("final_logit_softcapping", "final_logit_softcapping");
  const int64_t pattern =
      config.integer_of("sliding_window_pattern", config.integer_of("_sliding_window_pattern", kPattern));
  if (pattern < 1) fail("{}: sliding_window_pattern is {}; correct the file", config.origin(), pattern);
  read_window_layers(config, [&](int64_t layer) { return layer % pattern != pattern - 1; });
  config.set("attention.scale", Value::of(1 / std::sqrt(config.number_of("query_pre_attn_scalar", 256))));
  config.number("rope_local_base_freq", "rope.freq_base_swa", kLocalBase);
  read_rope(config, head_dim, 1000000);
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  d.left_out({"vision_tower.", "multi_modal_projector."});
  using Biases = LlamaTensors::Biases;
  describe_llama(hyper,
                 {.query_key_value = Biases::kInSomeFiles,
                  .others = Biases::kInSomeFiles,
                  .head_norms = true,
                  .sandwich = true,
                  .norm = add_one()},
                 d);
}

/// Gemma 3 (Gemma Team 2025): scaled embeddings, norms before and after attention and feed-forward,
/// normalised queries and keys, a sliding window in five of six layers, two rope bases, a tanh-GELU gate. The
/// files' norm weights already include the 1 that the report adds.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  const int64_t head_dim = hyper.attention().head_dim;
  const auto global = rope_of(weights, hyper, head_dim, RopePairs::kHalves, 1000000);
  const auto local = std::make_shared<Rope>(head_dim, hyper.positive_or("rope.freq_base_swa", kLocalBase),
                                            RopePairs::kHalves);
  DecoderPlan plan = llama_plan(hyper, hyper.activation(ActivationFunction::kGeluTanh), global);
  plan.ropes.push_back(local);
  plan.embedding.scale = std::sqrt(static_cast<float>(hyper.width()));
  if (hyper.has("final_logit_softcapping"))
    plan.logit_softcap = static_cast<float>(hyper.positive("final_logit_softcapping"));
  const int64_t window = hyper.count("attention.sliding_window", 1, 1 << 24);
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (hyper.layers() == kLayersOf27B && !hyper.has("attention.scale"))
      plan.layers[i].attention.scale =
          1 / std::sqrt(static_cast<float>(hyper.width() / hyper.attention().heads));
    if (!has_window(hyper, static_cast<int64_t>(i), is_local(static_cast<int64_t>(i)))) continue;
    plan.layers[i].window = window;
    plan.layers[i].rope = local;
  }
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gemma3_text", "gemma3"};

}  // namespace

const Family& gemma3_family() {
  static constexpr Family kFamily{"gemma3", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
