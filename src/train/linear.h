#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/work.h"
#include "train/features.h"

namespace wattle::inline train {

/// A linear model with one output a label, or a single one for two labels: then it speaks for label 1; of
/// numbers it answers the number.
struct LinearModel {
  int64_t features = 0;
  std::vector<float> weights;  ///< [features, outputs]: a sparse input reads whole rows
  std::vector<float> bias;     ///< [outputs]

  int64_t outputs() const { return static_cast<int64_t>(bias.size()); }
  /// decisions [outputs] = bias + x W. Adds its multiply-adds and the bytes of the weights it read to `work`.
  void decide(const SparseVector& x, std::span<float> decisions, Work& work) const;
};

/// What cross-validation found for one cost.
struct CostScore {
  double cost = 0;
  /// Over all rows, each answered by the model of the folds that it was not in; of numbers: R2.
  double accuracy = 0;
};

struct LinearFit {
  LinearModel model;
  double cost = 0;
  std::vector<CostScore> scores;  ///< empty when a single cost was given
};

struct LinearOptions {
  std::vector<double> costs;  ///< the one of best accuracy is taken, the smallest of equals
  int folds = 5;
  uint64_t seed = 0;  ///< of the folds
  /// The fold of each row, for rows that belong together; -1: it takes no part in the choice of the cost.
  /// Empty: stratified_folds().
  std::vector<int> fold_of = {};
  std::function<void(double)> progress;
};

/// L2-regularised logistic regression, one label against the rest, by LIBLINEAR's trust-region Newton method
/// (L2R_LR; Fan et al. 2008). `labels` are 0 .. n_labels-1. The same result for any number of threads.
LinearFit train_linear(const SparseMatrix& x, std::span<const int> labels, int n_labels,
                       const LinearOptions& options);

/// The fold of each row, 0 .. folds-1, every label spread evenly.
std::vector<int> stratified_folds(std::span<const int> labels, int n_labels, int folds, uint64_t seed);

/// Probabilities of the labels for decisions of one-against-the-rest logistic models: normalised sigmoids.
void to_probabilities(std::span<const float> decisions, std::span<float> probabilities);

}  // namespace wattle::inline train
