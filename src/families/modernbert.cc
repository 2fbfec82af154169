#include "families/family.h"
#include "families/text_encoder.h"

namespace wattle::inline families {
namespace {

constexpr double kGlobalBase = 160000, kLocalBase = 10000;
constexpr int64_t kPattern = 3;  // every third layer sees everything, the first of all with them
constexpr int64_t kMeanPool = 1, kFirstPool = 2;  // GGUF's numbers of pooling types

bool has_bias(const Hyperparameters& hyper, std::string_view of) {
  return hyper.flag_or(of, false);
}

/// What only heads read.
void read_head_keys(ConfigReader& config) {
  config.ignore({"classifier_activation", "classifier_bias", "classifier_pooling", "decoder_bias"});
  const auto head = named_head(config);
  if (!head) return;
  config.flag("classifier_bias", "classifier.bias", false);
  (void)activation_from_name(config.word("classifier_activation", "classifier.activation", "gelu"),
                             config.origin());
  if (head == NetworkHeadKind::kMasked) config.flag("decoder_bias", "masked_bias", true);
  if (head != NetworkHeadKind::kSequence) return;
  const std::string pooling = config.word_of("classifier_pooling", "cls");
  if (pooling != "cls" && pooling != "mean")
    fail("{}: classifier_pooling is {}; known are cls and mean: use another model", config.origin(), pooling);
  config.set("classifier.pooling_type", Value::of(pooling == "mean" ? kMeanPool : kFirstPool));
}

void read_config(ConfigReader& config) {
  config.integer("num_hidden_layers", "block_count");
  config.integer("hidden_size", "embedding_length");
  config.integer("intermediate_size", "feed_forward_length");
  config.integer("num_attention_heads", "attention.head_count");
  config.integer_if_there("vocab_size", "vocab_size");
  config.integer("max_position_embeddings", "context_length", 8192);
  config.number("norm_eps", "attention.layer_norm_epsilon", 1e-5);
  config.activation("hidden_activation", "gelu");
  const int64_t window = config.integer("local_attention", "attention.sliding_window", 128);
  if (window < 2)
    fail("{}: local_attention is {}; a token sees its neighbours: correct the file", config.origin(), window);
  config.integer("global_attn_every_n_layers", "attention.sliding_window_pattern", kPattern);
  config.number("global_rope_theta", "rope.freq_base", kGlobalBase);
  config.number("local_rope_theta", "rope.freq_base_swa", kLocalBase);
  config.expect("rope_scaling", nullptr);
  config.expect("rope_parameters", nullptr);
  config.expect("layer_types", nullptr);
  config.flag("attention_bias", "attention.bias", false);
  config.flag("mlp_bias", "feed_forward_bias", false);
  config.flag("norm_bias", "norm_bias", false);
  read_head_keys(config);
  config.set("attention.causal", Value::of(false));
  // Of training, of other attention code, and of BERT's configurations, which its files repeat.
  config.ignore({"deterministic_flash_attn", "initializer_cutoff_factor", "layer_norm_eps",
                 "position_embedding_type", "reference_compile", "repad_logits_with_grad",
                 "sparse_pred_ignore_index", "sparse_prediction"});
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  const bool attention = has_bias(hyper, "attention.bias"),
             feed_forward = has_bias(hyper, "feed_forward_bias"), norm = has_bias(hyper, "norm_bias"),
             classifier = has_bias(hyper, "classifier.bias");
  d.prefixes({"model."});
  d.left_out({"head.", "decoder.", "classifier."});
  d.table(Role::kEmbedding, "token_embd", "embeddings.tok_embeddings", hyper.vocabulary(), width);
  d.norm("token_embd_norm", "embeddings.norm", width, norm);
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("layers.{}.", layer));
    if (layer > 0) d.norm("attn_norm", "attn_norm", width, norm);
    d.linear({.name = "attn_qkv",
              .source = "attn.Wqkv",
              .outputs = 3 * width,
              .inputs = width,
              .bias = attention});
    d.linear(
        {.name = "attn_output", .source = "attn.Wo", .outputs = width, .inputs = width, .bias = attention});
    d.norm("ffn_norm", "mlp_norm", width, norm);
    d.linear(
        {.name = "ffn_up", .source = "mlp.Wi", .outputs = 2 * inner, .inputs = width, .bias = feed_forward});
    d.linear(
        {.name = "ffn_down", .source = "mlp.Wo", .outputs = width, .inputs = inner, .bias = feed_forward});
  }
  d.begin("", "");
  d.norm("output_norm", "final_norm", width, norm);
  describe_head(hyper,
                {.sequence_dense = "head.dense",
                 .sequence_out = "classifier",
                 .sequence_dense_bias = classifier,
                 .sequence_norm = true,
                 .sequence_norm_bias = norm,
                 .sequence_norm_source = "head.norm",
                 .span = "classifier",
                 .dense_for_all = true,
                 .masked_dense = "head.dense",
                 .masked_norm = "head.norm",
                 .masked_out = "decoder",
                 .masked_bias = hyper.flag_or("masked_bias", true) ? "decoder.bias" : "",
                 .masked_dense_bias = classifier,
                 .masked_norm_bias = norm},
                d);
}

NetworkHead::Plan head_plan(const Hyperparameters& hyper) {
  const ActivationFunction function =
      activation_from_name(hyper.word_or("classifier.activation", "gelu"), hyper.origin());
  const bool mean = hyper.count_or("classifier.pooling_type", kMeanPool, kMeanPool, kFirstPool) == kMeanPool;
  return {.pooling = mean ? NetworkHead::Pooling::kMean : NetworkHead::Pooling::kFirst,
          .sequence = function,
          .masked = function,
          .epsilon = hyper.epsilon()};
}

/// ModernBERT (Warner et al. 2024): pre-norm layers with gated feed-forwards, a window in two of three
/// layers, and rotary positions of two bases. The first layer reads the normalised embeddings as they are.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  const AttentionShape attention = hyper.attention();
  const double base = hyper.positive_or("rope.freq_base", kGlobalBase);
  const auto global = std::make_shared<Rope>(attention.head_dim, base, RopePairs::kHalves);
  const auto local = std::make_shared<Rope>(
      attention.head_dim, hyper.positive_or("rope.freq_base_swa", kLocalBase), RopePairs::kHalves);
  EncoderPlan plan;
  plan.embedding = {.width = hyper.width(), .epsilon = hyper.epsilon()};
  plan.ropes = {global, local};
  plan.max_tokens = hyper.context_length();
  plan.layers.assign(static_cast<size_t>(hyper.layers()),
                     {.width = hyper.width(),
                      .inner_width = hyper.inner_width(),
                      .attention = attention,
                      .epsilon = hyper.epsilon(),
                      .function = hyper.activation(ActivationFunction::kGelu),
                      .rope = global});
  const auto pattern =
      static_cast<size_t>(hyper.count_or("attention.sliding_window_pattern", kPattern, 1, 1024));
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    if (i % pattern == 0) continue;
    plan.layers[i].rope = local;
    plan.layers[i].window = hyper.count("attention.sliding_window", 2, 1 << 24) / 2;
  }
  return std::make_unique<TextEncoder>(weights, std::move(plan), head_plan(hyper));
}

constexpr std::string_view kTypes[] = {"modernbert"};

}  // namespace

const Family& modernbert_family() {
  static constexpr Family kFamily{"modern-bert", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
