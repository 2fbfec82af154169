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

  /// Nodes as a file has them, somebody else's.
  struct NodeView {
    std::span<const int32_t> split;
    std::span<const float> value;
    std::span<const int32_t> far;

    size_t size() const { return split.size(); }
    Node operator[](size_t i) const { return {split[i], value[i], far[i]}; }
  };
  struct Nodes {
    std::vector<int32_t> split;
    std::vector<float> value;
    std::vector<int32_t> far;

    size_t size() const { return split.size(); }
    Node operator[](size_t i) const { return {split[i], value[i], far[i]}; }
    void push_back(const Node& node) {
      split.push_back(node.split), value.push_back(node.value), far.push_back(node.far);
    }
    NodeView view() const { return {split, value, far}; }
  };

  /// Memory of a walk, kept from row to row. Belongs to one forest.
  struct Scratch {
    std::vector<float> values;     ///< [slots]; of what is not present, anything
    std::vector<uint8_t> present;  ///< [slots]: 1 or 0; the leaves' is 1
    std::vector<int32_t> entered;  ///< [trees]: where a row that leaves the way of absence goes on; else 0
    std::vector<int32_t> trees, places;        ///< [trees]: at the front, those under way and where they are
    std::vector<int32_t> ended_trees, leaves;  ///< [trees]: at the front, those that ended, and where
    std::vector<int64_t> sums;                 ///< [outputs]
  };

  /// `roots` [outputs, trees an output] are places in `nodes`, which are copied. Error (`origin` names the
  /// file) unless every child comes after its parent, every feature is below `features`, every answer is
  /// finite and every threshold a number: a descent ends, whatever the file says.
  Forest(int64_t features, int64_t outputs, const NodeView& nodes, std::vector<int32_t> roots,
         const std::string& origin);

  int64_t features() const { return features_; }
  int64_t outputs() const { return outputs_; }
  size_t node_count() const { return count_; }
  Nodes nodes() const;  ///< as given
  const std::vector<int32_t>& roots() const { return roots_; }

  /// shares [outputs]: the mean over the output's trees. A value that is not a number counts as absent. Adds
  /// the bytes of the trees that it looks at to `work`.
  void shares(const SparseVector& x, Scratch& scratch, std::span<float> shares, Work& work) const;

 private:
  /// What a descent reads where it stops. The nodes it passes are told by their slots alone.
  struct Stop {
    float value;
    uint32_t far;  ///< twice, and 1 when the child right after takes the smaller values; of a leaf: 0
  };
  /// A tree whose way of absence a feature leaves, and where it goes on: greater for nodes nearer to the
  /// root.
  struct Turn {
    int32_t tree, far;
  };
  /// The turns at one feature, from `begin`: first the nodes that smaller values stay at, by ascending
  /// threshold, and from `middle` the others, by descending threshold. Those that a value leaves are at the
  /// front of each.
  struct TurnRange {
    uint32_t begin = 0, middle = 0, end = 0;
  };

  void find_slots(const NodeView& nodes);
  void find_turns();
  int64_t in_units(float answer) const;
  bool is_leaf(size_t node) const { return stops_[node].far == 0; }
  size_t slot(size_t node) const { return wide_.empty() ? narrow_[node] : wide_[node]; }
  size_t find_turned(const SparseVector& x, Scratch& scratch, Work& work) const;
  template <int kStride>
  size_t descend(Scratch& scratch, size_t active, Work& work) const;
  template <int kStride, typename Slot>
  size_t descend(const Slot* slots, Scratch& scratch, size_t active, Work& work) const;
  void add_ended(Scratch& scratch, size_t ended, bool to_absent) const;

  int64_t features_, outputs_;
  size_t count_;
  // A slot is a feature's place among those that some tree tests, from 1; leaves have slot 0, and the
  // features of no tree share the last one. Two bytes a node where they do.
  std::vector<uint32_t> slot_of_;    ///< [features]
  std::vector<int32_t> feature_of_;  ///< [slots]
  std::vector<uint16_t> narrow_;     ///< [nodes, then leaves for what reads ahead], or empty
  std::vector<uint32_t> wide_;       ///< the same
  std::vector<Stop> stops_;          ///< likewise
  std::vector<int32_t> roots_;
  std::vector<int32_t> output_of_;       ///< [trees]
  double units_ = 1;                     ///< of 1
  std::vector<int64_t> absent_sums_;     ///< [outputs]: of a row without any feature
  std::vector<int64_t> absent_answers_;  ///< [trees]
  std::vector<TurnRange> turn_ranges_;   ///< [slots]
  std::vector<float> turn_thresholds_;
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
