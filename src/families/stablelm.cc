#include "families/llama.h"
#include "families/rope_scaling.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_llama_config(config, 0, false);
  config.number("layer_norm_eps", "attention.layer_norm_epsilon", 1e-5);
  config.activation("hidden_act", "silu");
  config.flag("use_qkv_bias", "use_qkv_bias", false);
  config.flag("qk_layernorm", "qk_layernorm", false);
  config.flag("use_parallel_residual", "parallel", false);
  read_rope(config, head_dim, 10000, 0.25);
  config.tied(false);
}

/// GGUF files of llama.cpp do not say which of these they have: then all of them are optional. (Their
/// use_parallel_residual is true where config.json does not say it, and llama.cpp goes by ffn_norm instead.)
void describe(const Hyperparameters& hyper, Description& d) {
  using Biases = LlamaTensors::Biases;
  const AttentionShape shape = hyper.attention();
  describe_llama(hyper,
                 {.query_key_value = !hyper.has("use_qkv_bias")             ? Biases::kInSomeFiles
                                     : hyper.flag_or("use_qkv_bias", false) ? Biases::kAlways
                                                                            : Biases::kNever,
                  .norm_bias = true,
                  .feed_forward_norm = !hyper.has("parallel")             ? Biases::kInSomeFiles
                                       : hyper.flag_or("parallel", false) ? Biases::kNever
                                                                          : Biases::kAlways},
                 d);
  const bool optional = !hyper.has("qk_layernorm");
  if (!optional && !hyper.flag_or("qk_layernorm", false)) return;
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("layers.{}.", layer));
    d.joined(Role::kNorm, "attn_q_norm", "self_attn.q_layernorm.norms.{}", shape.heads, shape.head_dim,
             optional);
    d.joined(Role::kNorm, "attn_k_norm", "self_attn.k_layernorm.norms.{}", shape.kv_heads, shape.head_dim,
             optional);
  }
  d.begin("", "");
}

/// StableLM (Bellagente et al. 2024): Llama's layers with layer norms and a part of each head rotated; the
/// 12B has its feed-forward beside attention and a norm for each head.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  DecoderPlan plan =
      llama_plan(hyper, hyper.activation(ActivationFunction::kSilu),
                 rope_of(weights, hyper, hyper.attention().head_dim, RopePairs::kHalves, 10000));
  plan.embedding.norm = NormKind::kLayer;
  for (LayerPlan& layer : plan.layers) {
    layer.norm = NormKind::kLayer;
    layer.parallel = !weights.has("blk.0.ffn_norm.weight");
  }
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"stablelm"};

}  // namespace

const Family& stablelm_family() {
  static constexpr Family kFamily{"stablelm", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
