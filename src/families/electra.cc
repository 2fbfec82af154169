#include "families/bert.h"

namespace wattle::inline families {
namespace {

int64_t word_width(const Hyperparameters& hyper) {
  return hyper.count("word_embedding_length", 1, 1 << 20);
}

void read_config(ConfigReader& config) {
  read_bert_config(config);
  config.integer("embedding_size", "word_embedding_length", 128);
  config.ignore(
      {"summary_activation", "summary_last_dropout", "summary_type", "summary_use_proj"});  // multiple choice
}

void describe(const Hyperparameters& hyper, Description& d) {
  const int64_t width = hyper.width(), words = word_width(hyper);
  d.prefixes({"electra."});
  d.left_out({"discriminator_predictions.", "generator_predictions.", "generator_lm_head."});
  describe_bert(hyper, d, hyper.context_length(), words);
  if (words != width)
    d.linear({.name = "token_embd_proj", .source = "embeddings_project", .outputs = width, .inputs = words});
  describe_head(hyper,
                {.sequence_dense = "classifier.dense",
                 .sequence_out = "classifier.out_proj",
                 .replaced_dense = "discriminator_predictions.dense",
                 .replaced_out = "discriminator_predictions.dense_prediction",
                 .masked_dense = "generator_predictions.dense",
                 .masked_norm = "generator_predictions.LayerNorm",
                 .masked_out = "generator_lm_head",
                 .masked_bias = "generator_lm_head.bias",
                 .masked_width = words},
                d);
}

/// ELECTRA (Clark et al. 2020): BERT with narrower embeddings, projected; a discriminator that says of every
/// token whether it was replaced.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  EncoderPlan plan = bert_plan(hyper);
  plan.embedding.word_width = word_width(hyper);
  return std::make_unique<TextEncoder>(
      weights, std::move(plan),
      NetworkHead::Plan{.sequence = ActivationFunction::kGelu,
                        .replaced = hyper.activation(ActivationFunction::kGelu),
                        .epsilon = hyper.epsilon()});
}

constexpr std::string_view kTypes[] = {"electra"};

}  // namespace

const Family& electra_family() {
  static constexpr Family kFamily{"electra", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
