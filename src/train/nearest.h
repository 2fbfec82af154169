#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/work.h"
#include "kernels/matmul.h"
#include "tensor/matrix.h"
#include "train/linear.h"

namespace wattle::inline train {

/// Answers by the k training rows of the largest cosine (Cover and Hart 1967): each votes for its label with
/// its cosine, one below 0 not at all; where none has a vote, each counts the same. The search is exact; of
/// rows with one cosine the earlier is nearer.
class NearestModel {
 public:
  NearestModel() = default;
  /// rows [count, features] of any length; labels of the rows, 0 .. n_labels-1. Error (`origin` names the
  /// file) when there are no rows, a label or a number of neighbours that cannot be, or a row that is not
  /// finite numbers.
  NearestModel(Matrix rows, std::vector<int32_t> labels, int n_labels, int64_t neighbours,
               const std::string& origin);

  int64_t features() const { return rows_.k(); }
  int64_t neighbours() const { return neighbours_; }
  int n_labels() const { return n_labels_; }
  std::span<const int32_t> labels() const { return labels_; }
  /// [count, features], of length 1 each (0 for a row of zeros).
  Matrix rows() const;

  /// shares [n_labels]: of the votes of the neighbours of x [features]. Adds what it read and multiplied to
  /// `work`.
  void shares(std::span<const float> x, std::span<float> shares, Work& work);

 private:
  PackedMatrix rows_;
  std::vector<int32_t> labels_;
  int n_labels_ = 0;
  int64_t neighbours_ = 1;
  // Kept from call to call.
  Matrix query_, cosines_;
  PackedActivations input_;
  std::vector<int32_t> order_;
};

struct NearestFit {
  NearestModel model;
  std::vector<CostScore> scores;  ///< of each number of neighbours, in `cost`; empty when one was given
};

struct NearestOptions {
  std::vector<int64_t> neighbours;  ///< the one of best accuracy is taken, the smallest of equals
  int folds = 5;
  uint64_t seed = 0;              ///< of the folds
  std::vector<int> fold_of = {};  ///< as LinearOptions has it
  std::function<void(double)> progress;
  std::string origin = "training";
};

/// Keeps the rows, and chooses the number of neighbours by cross-validation. The same result for any number
/// of threads.
NearestFit train_nearest(ConstMatrixView rows, std::span<const int> labels, int n_labels,
                         const NearestOptions& options);

}  // namespace wattle::inline train
