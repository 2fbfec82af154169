#pragma once

#include "families/family.h"
#include "families/heads.h"
#include "families/text_encoder.h"

namespace wattle::inline families {

/// The keys that BERT's config.json shares with RoBERTa's and ELECTRA's; `first_position` rows of the
/// position table belong to no token of a text.
void read_bert_config(ConfigReader& config, int64_t first_position = 0);
/// BERT's tensors up to its heads; words, positions, types and their norm are `word_width` wide.
void describe_bert(const Hyperparameters& hyper, Description& description, int64_t positions,
                   int64_t word_width);
/// What follows a layer's queries, keys and values, below description.begin() of the layer.
void describe_bert_outputs(const Hyperparameters& hyper, Description& description);
/// The names of its heads for sequences and masked words.
HeadSources bert_heads();
/// Its layers, as many as the metadata say.
std::vector<LayerPlan> bert_layers(const Hyperparameters& hyper);
/// Its embeddings and layers.
EncoderPlan bert_plan(const Hyperparameters& hyper);

}  // namespace wattle::inline families
