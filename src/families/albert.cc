#include "families/family.h"
#include "families/text_encoder.h"

namespace wattle::inline families {
namespace {

int64_t word_width(const Hyperparameters& hyper) {
  return hyper.count("word_embedding_length", 1, 1 << 20);
}
int64_t groups(const Hyperparameters& hyper) {
  return hyper.count("hidden_group_count", 1, hyper.layers());
}
int64_t layers_a_group(const Hyperparameters& hyper) {
  return hyper.count("hidden_group_length", 1, 1024);
}

void read_config(ConfigReader& config) {
  config.integer("num_hidden_layers", "block_count");
  config.integer("num_hidden_groups", "hidden_group_count", 1);
  config.integer("inner_group_num", "hidden_group_length", 1);
  config.integer("hidden_size", "embedding_length");
  config.integer("embedding_size", "word_embedding_length", 128);
  config.integer("intermediate_size", "feed_forward_length");
  config.integer("num_attention_heads", "attention.head_count");
  config.integer_if_there("vocab_size", "vocab_size");
  config.integer("max_position_embeddings", "context_length", 512);
  config.number("layer_norm_eps", "attention.layer_norm_epsilon", 1e-12);
  config.activation("hidden_act", "gelu_new");
  config.expect("position_embedding_type", "absolute");
  config.set("attention.causal", Value::of(false));
  config.set_global("tokenizer.ggml.token_type_count", Value::of(config.integer_of("type_vocab_size", 2)));
  config.ignore(
      {"down_scale_factor", "gap_size", "net_structure_type", "num_memory_blocks"});  // of other libraries
  config.tied(true);
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), inner = hyper.inner_width(), words = word_width(hyper);
  d.prefixes({"albert."});
  d.buffers({"embeddings.position_ids"});
  d.left_out({"pooler.", "predictions.", "sop_classifier."});
  d.table(Role::kEmbedding, "token_embd", "embeddings.word_embeddings", hyper.vocabulary(), words);
  d.table(Role::kPosition, "position_embd", "embeddings.position_embeddings", hyper.context_length(), words);
  d.table(Role::kTable, "token_types", "embeddings.token_type_embeddings",
          hyper.metadata().integer("tokenizer.ggml.token_type_count").value_or(kAnySize), words);
  d.norm("token_embd_norm", "embeddings.LayerNorm", words, true);
  d.linear({.name = "token_embd_proj",
            .source = "encoder.embedding_hidden_mapping_in",
            .outputs = width,
            .inputs = words});
  for (int64_t layer = 0; layer < groups(hyper) * layers_a_group(hyper); ++layer) {
    d.begin(fmt::format("blk.{}.", layer),
            fmt::format("encoder.albert_layer_groups.{}.albert_layers.{}.", layer / layers_a_group(hyper),
                        layer % layers_a_group(hyper)));
    d.linear({.name = "attn_q", .source = "attention.query", .outputs = width, .inputs = width});
    d.linear({.name = "attn_k", .source = "attention.key", .outputs = width, .inputs = width});
    d.linear({.name = "attn_v", .source = "attention.value", .outputs = width, .inputs = width});
    d.linear({.name = "attn_output", .source = "attention.dense", .outputs = width, .inputs = width});
    d.norm("attn_output_norm", "attention.LayerNorm", width, true);
    d.linear({.name = "ffn_up", .source = "ffn", .outputs = inner, .inputs = width});
    d.linear({.name = "ffn_down", .source = "ffn_output", .outputs = width, .inputs = inner});
    d.norm("layer_output_norm", "full_layer_layer_norm", width, true);
  }
  describe_head(hyper,
                {.sequence_dense = "pooler",
                 .sequence_out = "classifier",
                 .masked_dense = "predictions.dense",
                 .masked_norm = "predictions.LayerNorm",
                 .masked_out = "predictions.decoder",
                 .masked_bias = "predictions.bias",
                 .masked_duplicates = {"predictions.decoder.bias"},
                 .masked_width = words},
                d);
}

/// ALBERT (Lan et al. 2020): BERT's layers, whose weights few groups share, over narrower embeddings,
/// projected.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  const ActivationFunction function = hyper.activation(ActivationFunction::kGeluTanh);
  EncoderPlan plan;
  plan.embedding = {.width = hyper.width(),
                    .word_width = word_width(hyper),
                    .positions = Positions::kLearned,
                    .epsilon = hyper.epsilon()};
  plan.layers.assign(static_cast<size_t>(groups(hyper) * layers_a_group(hyper)),
                     {.width = hyper.width(),
                      .inner_width = hyper.inner_width(),
                      .attention = hyper.attention(),
                      .epsilon = hyper.epsilon(),
                      .function = function});
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    const int64_t group = layer * groups(hyper) / hyper.layers();
    for (int64_t i = 0; i < layers_a_group(hyper); ++i)
      plan.shared.push_back(group * layers_a_group(hyper) + i);
  }
  plan.max_tokens = hyper.context_length();
  return std::make_unique<TextEncoder>(weights, std::move(plan),
                                       NetworkHead::Plan{.masked = function, .epsilon = hyper.epsilon()});
}

constexpr std::string_view kTypes[] = {"albert"};

}  // namespace

const Family& albert_family() {
  static constexpr Family kFamily{"albert", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
