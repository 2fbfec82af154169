#include "families/bert.h"

namespace wattle::inline families {

void read_bert_config(ConfigReader& config, int64_t first_position) {
  config.integer("num_hidden_layers", "block_count");
  config.integer("hidden_size", "embedding_length");
  config.integer("intermediate_size", "feed_forward_length");
  config.integer("num_attention_heads", "attention.head_count");
  config.integer_if_there("vocab_size", "vocab_size");
  const int64_t positions = config.integer_of("max_position_embeddings", 512);
  if (positions <= first_position)
    fail("{}: max_position_embeddings is {}, which leaves none for tokens; correct the file", config.origin(),
         positions);
  config.set("context_length", Value::of(positions - first_position));
  config.number("layer_norm_eps", "attention.layer_norm_epsilon", 1e-12);
  config.activation("hidden_act", "gelu");
  config.expect("position_embedding_type", "absolute");
  config.expect("is_decoder", false);
  config.set("attention.causal", Value::of(false));
  config.set_global("tokenizer.ggml.token_type_count", Value::of(config.integer_of("type_vocab_size", 2)));
  config.tied(true);
}

void describe_bert_outputs(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), inner = hyper.inner_width();
  d.linear({.name = "attn_output", .source = "attention.output.dense", .outputs = width, .inputs = width});
  d.norm("attn_output_norm", "attention.output.LayerNorm", width, true);
  d.linear({.name = "ffn_up", .source = "intermediate.dense", .outputs = inner, .inputs = width});
  d.linear({.name = "ffn_down", .source = "output.dense", .outputs = width, .inputs = inner});
  d.norm("layer_output_norm", "output.LayerNorm", width, true);
}

void describe_bert(const Hyperparameters& hyper, Description& d, int64_t positions, int64_t word_width) {
  const int64_t width = hyper.width();
  d.buffers({"embeddings.position_ids", "embeddings.token_type_ids"});
  d.table(Role::kEmbedding, "token_embd", "embeddings.word_embeddings", hyper.vocabulary(), word_width);
  d.table(Role::kPosition, "position_embd", "embeddings.position_embeddings", positions, word_width);
  d.table(Role::kTable, "token_types", "embeddings.token_type_embeddings",
          hyper.metadata().integer("tokenizer.ggml.token_type_count").value_or(kAnySize), word_width);
  d.norm("token_embd_norm", "embeddings.LayerNorm", word_width, true);
  for (int64_t layer = 0; layer < hyper.layers(); ++layer) {
    d.begin(fmt::format("blk.{}.", layer), fmt::format("encoder.layer.{}.", layer));
    d.linear({.name = "attn_q", .source = "attention.self.query", .outputs = width, .inputs = width});
    d.linear({.name = "attn_k", .source = "attention.self.key", .outputs = width, .inputs = width});
    d.linear({.name = "attn_v", .source = "attention.self.value", .outputs = width, .inputs = width});
    describe_bert_outputs(hyper, d);
  }
  d.begin("", "");
}

HeadSources bert_heads() {
  return {.sequence_dense = "pooler.dense",
          .sequence_out = "classifier",
          .masked_dense = "cls.predictions.transform.dense",
          .masked_norm = "cls.predictions.transform.LayerNorm",
          .masked_out = "cls.predictions.decoder",
          .masked_bias = "cls.predictions.bias",
          .masked_duplicates = {"cls.predictions.decoder.bias"}};
}

std::vector<LayerPlan> bert_layers(const Hyperparameters& hyper) {
  return {static_cast<size_t>(hyper.layers()),
          LayerPlan{.width = hyper.width(),
                    .inner_width = hyper.inner_width(),
                    .attention = hyper.attention(),
                    .epsilon = hyper.epsilon(),
                    .function = hyper.activation(ActivationFunction::kGelu)}};
}

EncoderPlan bert_plan(const Hyperparameters& hyper) {
  EncoderPlan plan;
  plan.embedding = {.width = hyper.width(), .positions = Positions::kLearned, .epsilon = hyper.epsilon()};
  plan.layers = bert_layers(hyper);
  plan.max_tokens = hyper.context_length();
  return plan;
}

namespace {

void read_config(ConfigReader& config) {
  read_bert_config(config);
}

void describe(const Hyperparameters& hyper, Description& d) {
  d.prefixes({"bert."});
  d.left_out({"pooler.", "cls."});
  describe_bert(hyper, d, hyper.context_length(), hyper.width());
  describe_head(hyper, bert_heads(), d);
}

/// BERT (Devlin et al. 2019): word, position and type embeddings, normalised; post-norm layers.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  return std::make_unique<TextEncoder>(
      weights, bert_plan(hyper),
      NetworkHead::Plan{.masked = hyper.activation(ActivationFunction::kGelu), .epsilon = hyper.epsilon()});
}

constexpr std::string_view kTypes[] = {"bert"};

}  // namespace

const Family& bert_family() {
  static constexpr Family kFamily{"bert", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
