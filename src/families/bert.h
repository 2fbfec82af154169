#pragma once

#include "families/family.h"
#include "families/text_encoder.h"

namespace wattle {

/// The keys that BERT's config.json shares with RoBERTa's and ELECTRA's; `first_position` rows of the
/// position table belong to no token of a text.
void read_bert_config(ConfigReader& config, int64_t first_position = 0);
/// BERT's tensors up to its heads; words, positions, types and their norm are `word_width` wide.
void describe_bert(const Hyperparameters& hyper, Description& description, int64_t positions,
                   int64_t word_width);
/// Its layers, as many as the metadata say.
EncoderPlan bert_plan(const Hyperparameters& hyper);

}  // namespace wattle
