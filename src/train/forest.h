#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/work.h"
#include "train/features.h"

namespace wattle {

/// A random forest of regression trees for each output (one a label, or a single one for two labels: it
/// speaks for label 1). A tree's leaf holds the share of the label among the training rows that fell there.
class Forest {
 public:
  /// The child that a row takes when it lacks the feature lies right after its parent (most words are absent
  /// from most texts, so a descent mostly reads on); the other one is at `far`.
  struct Node {
    int32_t split =
        -1;  ///< 2 * feature + (1 when the child right after takes the smaller values); a leaf: -1
    float value =
        0;  ///< threshold: smaller values go to one child, others to the other; of a leaf: the answer
    int32_t far = -1;
  };

  /// `roots` [outputs, trees an output] are places in `nodes`. Error (`origin` names the file) unless every
  /// child comes after its parent and every feature is below `features`: a descent ends, whatever the file
  /// says.
  Forest(int64_t features, int64_t outputs, std::vector<Node> nodes, std::vector<int32_t> roots,
         const std::string& origin);

  int64_t features() const { return features_; }
  int64_t outputs() const { return outputs_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  const std::vector<int32_t>& roots() const { return roots_; }

  /// shares [outputs]: the mean over the output's trees. `scratch` keeps its memory from call to call. Adds
  /// the bytes of the nodes visited to `work`.
  void shares(const SparseVector& x, std::vector<float>& scratch, std::span<float> shares, Work& work) const;

 private:
  int64_t features_, outputs_;
  std::vector<Node> nodes_;
  std::vector<int32_t> roots_;
};

struct ForestOptions {
  int trees = 200;
  uint64_t seed = 0;
  std::function<void(double)> progress;
};

/// Breiman's random forest (2001), grown by XGBoost: every tree sees a random 63.2 % of the rows, every node
/// a random part of the features, and trees grow until their leaves are pure. The same result for any number
/// of threads.
Forest train_forest(const SparseMatrix& x, std::span<const int> labels, int n_labels,
                    const ForestOptions& options);

}  // namespace wattle
