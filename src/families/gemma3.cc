#include <cmath>

#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle {
namespace {

constexpr int64_t kPattern = 6;       // five layers with a sliding window, then one that sees everything
constexpr double kLocalBase = 10000;  // rope base of the layers with a window
constexpr int64_t kHeadDim = 256;     // what the reference takes where config.json says nothing
constexpr int64_t kLayersOf27B = 62;  // Gemma 3 27B alone scales its queries by width / heads

bool is_local(int64_t layer) {
  return layer % kPattern != kPattern - 1;
}

/// Gemma 3's constants are part of the architecture in GGUF: a model with others would compute something else.
void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config, kHeadDim);
  config.integer("sliding_window", "attention.sliding_window", 4096);
  config.expect("hidden_activation", "gelu_pytorch_tanh");
  config.expect("sliding_window_pattern", kPattern);
  config.expect("_sliding_window_pattern", kPattern);
  config.expect("rope_local_base_freq", kLocalBase);
  config.expect("use_bidirectional_attention", false);
  config.expect("final_logit_softcapping", nullptr);
  config.expect("attn_logit_softcapping", nullptr);
  if (config.integer_of("num_hidden_layers", 0) == kLayersOf27B) {
    config.ignore({"query_pre_attn_scalar"});
  } else {
    config.expect("query_pre_attn_scalar", head_dim);
  }
  config.ignore({"layer_types"});
  if (const nlohmann::json* types = config.json().find("layer_types")) {
    for (size_t i = 0; i < types->size(); ++i) {
      if (types->at(i) != (is_local(static_cast<int64_t>(i)) ? "sliding_attention" : "full_attention"))
        fail("{}: layer_types has another order than gemma3's; use another model", config.origin());
    }
  }
  read_rope(config, head_dim, 1000000);
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  d.left_out({"vision_tower.", "multi_modal_projector."});
  describe_llama(hyper, {.head_norms = true, .sandwich = true, .norm = add_one()}, d);
}

/// Gemma 3 (Gemma Team 2025): scaled embeddings, norms before and after attention and feed-forward, normalised queries
/// and keys, a sliding window in five of six layers, two rope bases, a tanh-GELU gate. The files' norm weights already
/// include the 1 that the report adds.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions& options) {
  const int64_t head_dim = hyper.attention().head_dim;
  const auto global = rope_of(weights, hyper, head_dim, RopePairs::kHalves, 1000000);
  const auto local = std::make_shared<Rope>(head_dim, kLocalBase, RopePairs::kHalves);
  DecoderPlan plan = llama_plan(hyper, ActivationFunction::kGeluTanh, global);
  plan.ropes.push_back(local);
  plan.embedding.scale = std::sqrt(static_cast<float>(hyper.width()));
  const int64_t window = hyper.count("attention.sliding_window", 1, 1 << 24);
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (hyper.layers() == kLayersOf27B)
      plan.layers[i].attention.scale = 1 / std::sqrt(static_cast<float>(hyper.width() / hyper.attention().heads));
    if (!is_local(static_cast<int64_t>(i))) continue;
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

}  // namespace wattle
