#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/work.h"
#include "train/features.h"

namespace wattle::inline train {

/// A random forest of regression trees for each output (one a label, or a single one for two labels: it
/// speaks for label 1; of a number: the number). A tree's leaf holds the mean of what the training rows that
/// fell there have.
///
/// Most words are absent from most texts, so most trees answer as they do for a text without any: `shares`
/// visits those trees alone that a present feature turns off the way of absence, and begins where it does.
/// The mean is over whole multiples of 2^-40 of the greatest answer: the same for any order of the trees.
class Forest {
 public:
  /// The child that a row takes when it lacks the feature lies right after its parent (a descent mostly reads
  /// on); the other one is at `far`.
  struct Node {
    int32_t split;  ///< 2 * feature + (1 when the child right after takes the smaller values); a leaf: -1
    float value;    ///< threshold: smaller values go to one child, others to the other; of a leaf: the answer
    int32_t far;    ///< of a leaf: -1
  };

  /// Memory of a walk, kept from row to row. Belongs to one forest.
  struct Scratch {
    std::vector<float> values;     ///< [features]; of what is not present, anything
    std::vector<uint8_t> present;  ///< [1 + features]; the first is of leaves: 1
    std::vector<int32_t> entered;  ///< [trees]: where a row that leaves the way of absence goes on; else 0
    std::vector<int32_t> turned;   ///< [trees]: at the front, the trees that it leaves
    std::vector<int64_t> sums;     ///< [outputs]
  };

  /// `roots` [outputs, trees an output] are places in `nodes`. Error (`origin` names the file) unless every
  /// child comes after its parent, every feature is below `features` and every answer is finite: a descent
  /// ends, whatever the file says.
  Forest(int64_t features, int64_t outputs, std::vector<Node> nodes, std::vector<int32_t> roots,
         const std::string& origin);

  int64_t features() const { return features_; }
  int64_t outputs() const { return outputs_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<int32_t>& roots() const { return roots_; }

  /// shares [outputs]: the mean over the output's trees. A value that is not a number counts as absent. Adds
  /// the bytes of the nodes visited to `work`.
  void shares(const SparseVector& x, Scratch& scratch, std::span<float> shares, Work& work) const;

 private:
  /// A node on a tree's way of absence, at the feature that it tests.
  struct Turn {
    float threshold;
    int32_t tree;  ///< twice, and 1 when the smaller values stay on the way
    int32_t far;   ///< where the others go on; greater for nodes nearer to the root
  };

  void check(const std::string& origin) const;
  void find_turns();
  int64_t in_units(float answer) const;
  float answer_after(int32_t begin, const Scratch& scratch, int64_t& visited) const;
  void add_all(const Scratch& scratch, std::span<int64_t> sums, int64_t& visited) const;
  size_t find_turned(const SparseVector& x, Scratch& scratch, int64_t& visited) const;
  void add_turned(const SparseVector& x, Scratch& scratch, int64_t& visited) const;

  int64_t features_, outputs_;
  std::vector<Node> nodes_;
  std::vector<int32_t> roots_;
  double units_ = 1;                     ///< of 1
  std::vector<int64_t> absent_sums_;     ///< [outputs]: of a row without any feature
  std::vector<int64_t> absent_answers_;  ///< [trees]
  std::vector<uint32_t> turn_offsets_;   ///< [features + 1]
  std::vector<Turn> turns_;
};

struct ForestOptions {
  int trees = 200;
  uint64_t seed = 0;
  std::function<void(double)> progress = {};
  double features_a_node =
      0;  ///< the part of the features that a node chooses from; 0: the root of their number
};

/// Breiman's random forest (2001), grown by XGBoost: every tree sees a random 63.2 % of the rows, every node
/// a random part of the features, and trees grow until their leaves are pure. The same result for any number
/// of threads.
Forest train_forest(const SparseMatrix& x, std::span<const int> labels, int n_labels,
                    const ForestOptions& options);

/// The same for numbers: a leaf answers the mean of its training rows'. One output.
Forest train_regression_forest(const SparseMatrix& x, std::span<const float> numbers,
                               const ForestOptions& options);

}  // namespace wattle::inline train
