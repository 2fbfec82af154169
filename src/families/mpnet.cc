#include "families/family.h"
#include "families/text_encoder.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kFirstPosition = 2;      // fairseq counts positions from the padding id, 1, plus 1
constexpr int64_t kLargestDistance = 128;  // further apart all share the last bucket

void read_config(ConfigReader& config) {
  config.integer("num_hidden_layers", "block_count");
  config.integer("hidden_size", "embedding_length");
  config.integer("intermediate_size", "feed_forward_length");
  config.integer("num_attention_heads", "attention.head_count");
  config.integer_if_there("vocab_size", "vocab_size");
  config.set("context_length", Value::of(config.integer_of("max_position_embeddings", 514) - kFirstPosition));
  config.integer("relative_attention_num_buckets", "attention.relative_buckets_count", 32);
  config.number("layer_norm_eps", "attention.layer_norm_epsilon", 1e-12);
  config.activation("hidden_act", "gelu");
  config.set("attention.causal", Value::of(false));
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  d.prefixes({"mpnet."});
  d.buffers({"embeddings.position_ids"});
  d.left_out({"pooler.", "lm_head."});
  d.table(Role::kEmbedding, "token_embd", "embeddings.word_embeddings", hyper.vocabulary(), width);
  d.table(Role::kPosition, "position_embd", "embeddings.position_embeddings",
          hyper.context_length() + kFirstPosition, width);
  d.norm("token_embd_norm", "embeddings.LayerNorm", width, true);
  d.table(Role::kTable, "attn_rel_b", "encoder.relative_attention_bias",
          hyper.count("attention.relative_buckets_count", 4, 4096), hyper.attention().heads);
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("encoder.layer.{}.", layer));
    d.linear({.name = "attn_q", .source = "attention.attn.q", .outputs = width, .inputs = width});
    d.linear({.name = "attn_k", .source = "attention.attn.k", .outputs = width, .inputs = width});
    d.linear({.name = "attn_v", .source = "attention.attn.v", .outputs = width, .inputs = width});
    d.linear({.name = "attn_output", .source = "attention.attn.o", .outputs = width, .inputs = width});
    d.norm("attn_output_norm", "attention.LayerNorm", width, true);
    d.linear({.name = "ffn_up", .source = "intermediate.dense", .outputs = inner, .inputs = width});
    d.linear({.name = "ffn_down", .source = "output.dense", .outputs = width, .inputs = inner});
    d.norm("layer_output_norm", "output.LayerNorm", width, true);
  }
  describe_head(hyper,
                {.sequence_dense = "classifier.dense",
                 .sequence_out = "classifier.out_proj",
                 .masked_dense = "lm_head.dense",
                 .masked_norm = "lm_head.layer_norm",
                 .masked_out = "lm_head.decoder",
                 .masked_bias = "lm_head.bias",
                 .masked_duplicates = {"lm_head.decoder.bias"}},
                d);
}

/// MPNet (Song et al. 2020): BERT's layers, no token types, positions from 2, and one relative attention bias
/// that all layers share.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  const AttentionShape attention = hyper.attention();
  const ActivationFunction function = hyper.activation(ActivationFunction::kGelu);
  EncoderPlan plan;
  plan.embedding = {.width = hyper.width(),
                    .positions = Positions::kLearned,
                    .first_position = kFirstPosition,
                    .padding = kFirstPosition - 1,
                    .epsilon = hyper.epsilon()};
  plan.max_tokens = hyper.context_length();
  const auto bias =
      bucket_bias(weights, "attn_rel_b.weight", hyper.count("attention.relative_buckets_count", 4, 4096),
                  attention.heads, kLargestDistance, plan.max_tokens, true);
  plan.layers.assign(static_cast<size_t>(hyper.layers()), {.width = hyper.width(),
                                                           .inner_width = hyper.inner_width(),
                                                           .attention = attention,
                                                           .epsilon = hyper.epsilon(),
                                                           .function = function,
                                                           .bias = bias});
  return std::make_unique<TextEncoder>(weights, std::move(plan),
                                       NetworkHead::Plan{.masked = function, .epsilon = hyper.epsilon()});
}

constexpr std::string_view kTypes[] = {"mpnet"};

}  // namespace

const Family& mpnet_family() {
  static constexpr Family kFamily{"mpnet", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
