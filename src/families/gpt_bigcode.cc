#include "families/gpt.h"

namespace wattle::inline families {
namespace {

void read_config(ConfigReader& config) {
  const int64_t head_dim = read_gpt2_sizes(config);
  const bool shared = config.flag("multi_query", "attention.multi_query", true);
  if (shared) config.set("attention.head_count_kv", Value::of(int64_t{1}));
  config.ignore({"num_key_value_heads", "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32",
                 "inference_runner", "max_sequence_length", "max_batch_size", "pad_key_length",
                 "validate_runner_input", "pre_allocate_kv_cache"});
  config.activation("activation_function", "gelu_pytorch_tanh");
  config.expect("add_cross_attention", false);
  if (!config.flag_of("scale_attn_weights", true)) config.set("attention.scale", Value::of(1.0));
  config.set("attention.key_length", Value::of(head_dim));
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const AttentionShape shape = hyper.attention();
  describe_gpt(
      hyper,
      {.positions = "wpe",
       .query_key_value = "attn.c_attn",
       .attention_output = "attn.c_proj",
       .up = "mlp.c_fc",
       .down = "mlp.c_proj"},
      {.query_key_value_rows = shape.kv_heads == shape.heads ? regroup_rows(shape.heads, 3) : Change()}, d);
}

/// StarCoder (Li et al. 2023): GPT-2 with one head of keys and values for all queries.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper,
                               const NetworkOptions& options) {
  DecoderPlan plan = decoder_plan(hyper, gpt_layer(hyper, ActivationFunction::kGeluTanh));
  plan.embedding.positions = Positions::kLearned;
  return std::make_unique<TextDecoder>(weights, std::move(plan), options);
}

constexpr std::string_view kTypes[] = {"gpt_bigcode"};

}  // namespace

const Family& gpt_bigcode_family() {
  static constexpr Family kFamily{"starcoder", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
