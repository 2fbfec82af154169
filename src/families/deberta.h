#pragma once

#include <memory>
#include <string>

#include "families/bert.h"
#include "families/family.h"
#include "families/text_encoder.h"
#include "layers/disentangled.h"

namespace wattle::inline families {

// What the versions of DeBERTa share: all but a layer's queries, keys and values and the rows of relative
// positions.

/// Whether the scores have relative positions.
bool read_deberta_config(ConfigReader& config);
/// The embeddings and, where the scores have them, relative positions: `side` before a token and as many
/// after it.
void describe_deberta_embeddings(const Hyperparameters& hyper, Description& description, int64_t side);
void describe_deberta_heads(const Hyperparameters& hyper, Description& description);

/// Which of a score's two terms of position there are.
struct PositionTerms {
  bool content_to_position = false, position_to_content = false;

  explicit PositionTerms(const Hyperparameters& hyper);
  explicit operator bool() const { return content_to_position || position_to_content; }
};
/// Distances that have relative positions of their own.
int64_t deberta_distances(const Hyperparameters& hyper);

EncoderPlan deberta_plan(const Hyperparameters& hyper);
NetworkHead::Plan deberta_head(const Hyperparameters& hyper);
/// Gives each layer of `plan` its bias: relative positions [rows, width], multiplied by the layer's matrices
/// blk.N.KEY and blk.N.QUERY.
void add_disentangled_bias(Weights& weights, const Hyperparameters& hyper,
                           std::shared_ptr<const DistanceRows> distances, ConstMatrixView positions,
                           const std::string& key, const std::string& query, EncoderPlan& plan);

}  // namespace wattle::inline families
