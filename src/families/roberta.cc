#include "families/bert.h"

namespace wattle::inline families {
namespace {

/// fairseq counts positions from the padding id plus 1.
int64_t first_position(const Hyperparameters& hyper) {
  return hyper.count("padding_token_id", 0, 1 << 20) + 1;
}

void read_config(ConfigReader& config) {
  const int64_t padding = config.integer("pad_token_id", "padding_token_id", 1);
  read_bert_config(config, padding + 1);
}

void describe(const Hyperparameters& hyper, Description& d) {
  d.prefixes({"roberta."});
  d.left_out({"pooler.", "lm_head."});
  describe_bert(hyper, d, hyper.context_length() + first_position(hyper), hyper.width());
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

/// RoBERTa (Liu et al. 2019), XLM-RoBERTa (Conneau et al. 2020), CamemBERT, BERTweet: BERT's layers with
/// positions from the padding id on and a masked head that always has GELU.
std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  EncoderPlan plan = bert_plan(hyper);
  plan.embedding.first_position = first_position(hyper);
  plan.embedding.padding = static_cast<int32_t>(first_position(hyper) - 1);
  return std::make_unique<TextEncoder>(weights, std::move(plan),
                                       NetworkHead::Plan{.epsilon = hyper.epsilon()});
}

constexpr std::string_view kTypes[] = {"roberta", "xlm-roberta", "camembert"};

}  // namespace

const Family& roberta_family() {
  static constexpr Family kFamily{"roberta", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
