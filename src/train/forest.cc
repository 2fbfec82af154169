#include "train/forest.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "base/threads.h"
#include "train/xgboost.h"

namespace wattle::inline train {
namespace {

/// Trees of pure leaves: text needs long chains of absent words. 60 lost 1.4 points on airline-messages, 300
/// won none.
constexpr int kMaxDepth = 128;

void check(int status) {
  if (status != 0) fail("XGBoost could not grow the forest: {}", xgboost().last_error());
}

struct FreeMatrix {
  void operator()(void* handle) const { xgboost().free_matrix(handle); }
};
struct FreeBooster {
  void operator()(void* handle) const { xgboost().free_booster(handle); }
};
using MatrixHandle = std::unique_ptr<void, FreeMatrix>;
using Booster = std::unique_ptr<void, FreeBooster>;

MatrixHandle to_xgboost(const SparseMatrix& x, const std::vector<float>& targets) {
  const std::vector<size_t> offsets(x.offsets.begin(), x.offsets.end());
  const std::vector<unsigned> indices(x.indices.begin(), x.indices.end());
  DMatrixHandle handle = nullptr;
  check(xgboost().matrix_from_csr(offsets.data(), indices.data(), x.values.data(), offsets.size(),
                                  x.values.size(), static_cast<size_t>(x.columns), &handle));
  MatrixHandle matrix(handle);
  check(xgboost().set_float_info(handle, "label", targets.data(), targets.size()));
  return matrix;
}

struct Trees {
  Forest::Nodes nodes;
  std::vector<int32_t> roots;
};

/// Lays the trees of XGBoost's JSON model (its documented schema) out as Forest wants them.
class TreeReader {
 public:
  TreeReader(const nlohmann::json& tree, Trees& grown)
      : left_(tree.at("left_children").get<std::vector<int32_t>>()),
        right_(tree.at("right_children").get<std::vector<int32_t>>()),
        features_(tree.at("split_indices").get<std::vector<int32_t>>()),
        missing_left_(tree.at("default_left").get<std::vector<int>>()),
        values_(tree.at("split_conditions").get<std::vector<float>>()),
        grown_(grown) {
    grown_.roots.push_back(static_cast<int32_t>(grown_.nodes.size()));
    append(0);
  }

 private:
  /// Recursion is as deep as the tree: kMaxDepth.
  void append(int32_t id) {
    const auto i = static_cast<size_t>(id);
    Forest::Nodes& nodes = grown_.nodes;
    const size_t place = nodes.size();
    nodes.push_back({-1, values_[i], -1});
    if (left_[i] < 0) return;
    const bool near_left = missing_left_[i] != 0;
    append(near_left ? left_[i] : right_[i]);
    nodes.split[place] = 2 * features_[i] + (near_left ? 1 : 0);
    nodes.far[place] = static_cast<int32_t>(nodes.size());
    append(near_left ? right_[i] : left_[i]);
  }

  std::vector<int32_t> left_, right_, features_;
  std::vector<int> missing_left_;
  std::vector<float> values_;
  Trees& grown_;
};

/// A forest of `trees` trees for one target, with one thread: XGBoost's sums depend on how many threads share
/// them.
Trees grow(const SparseMatrix& x, const std::vector<float>& targets, int trees, double features_a_node,
           uint64_t seed) {
  const MatrixHandle matrix = to_xgboost(x, targets);
  BoosterHandle handle = nullptr;
  DMatrixHandle matrices[] = {matrix.get()};
  check(xgboost().create_booster(matrices, 1, &handle));
  const Booster booster(handle);
  if (features_a_node == 0) features_a_node = 1 / std::sqrt(static_cast<double>(x.columns));
  // "exact" visits the entries that there are: on sparse words it took a tenth of the time of "hist", which
  // walks every bin of every feature at every node. Squared error on 0/1 targets splits as Gini impurity
  // does.
  const std::pair<const char*, std::string> settings[] = {
      {"nthread", "1"},
      {"verbosity", "0"},
      {"booster", "gbtree"},
      {"tree_method", "exact"},
      {"objective", "reg:squarederror"},
      {"base_score", "0"},
      {"learning_rate", "1"},
      {"num_parallel_tree", std::to_string(trees)},
      {"subsample", "0.632"},
      {"colsample_bynode", fmt::format("{:.9f}", features_a_node)},
      {"max_depth", std::to_string(kMaxDepth)},
      {"min_child_weight", "1"},
      {"lambda", "0"},
      {"gamma", "0"},
      {"seed", std::to_string(seed)},
  };
  for (const auto& [name, value] : settings) check(xgboost().set_parameter(handle, name, value.c_str()));
  check(xgboost().update(handle, 0, matrix.get()));
  bst_ulong length = 0;
  const char* bytes = nullptr;
  check(xgboost().save_to_buffer(handle, R"({"format": "json"})", &length, &bytes));
  const auto model = nlohmann::json::parse(std::string_view(bytes, length));
  Trees grown;
  for (const auto& tree : model.at("learner").at("gradient_booster").at("model").at("trees"))
    TreeReader(tree, grown);
  // XGBoost divides the leaves by the number of trees, so that their sum is the mean; here the mean is taken
  // once.
  for (size_t i = 0; i < grown.nodes.size(); ++i) {
    if (grown.nodes.split[i] < 0) grown.nodes.value[i] *= static_cast<float>(trees);
  }
  return grown;
}

}  // namespace

namespace {

/// A forest for each output of `targets` [outputs][rows].
Forest grow_outputs(const SparseMatrix& x, int64_t outputs,
                    const std::function<std::vector<float>(int64_t output)>& targets,
                    const ForestOptions& options) {
  // XGBoost runs single-threaded; the work is shared out in parts of a fixed number of trees.
  constexpr int kPart = 25;
  const int64_t parts = (options.trees + kPart - 1) / kPart;
  std::vector<Trees> grown(static_cast<size_t>(outputs * parts));
  std::mutex telling;
  int64_t done = 0;
  for_each_part(outputs * parts, [&](int64_t job) {
    if (interrupted()) return;
    const int trees = std::min<int>(kPart, options.trees - static_cast<int>(job % parts) * kPart);
    grown[static_cast<size_t>(job)] = grow(x, targets(job / parts), trees, options.features_a_node,
                                           options.seed * 1000003 + static_cast<uint64_t>(job));
    const std::lock_guard lock(telling);
    if (options.progress)
      options.progress(static_cast<double>(++done) / static_cast<double>(outputs * parts));
  });
  throw_if_interrupted();
  Forest::Nodes nodes;
  std::vector<int32_t> roots;
  for (Trees& part : grown) {
    const auto base = static_cast<int32_t>(nodes.size());
    for (const int32_t root : part.roots) roots.push_back(base + root);
    for (size_t i = 0; i < part.nodes.size(); ++i) {
      Forest::Node node = part.nodes[i];
      if (node.split >= 0) node.far += base;
      nodes.push_back(node);
    }
    part = {};
  }
  return Forest(x.columns, outputs, nodes.view(), std::move(roots), "the forest");
}

}  // namespace

Forest train_forest(const SparseMatrix& x, std::span<const int> labels, int n_labels,
                    const ForestOptions& options) {
  const int64_t outputs = n_labels == 2 ? 1 : n_labels;
  const auto targets = [&](int64_t output) {
    const int positive = outputs == 1 ? 1 : static_cast<int>(output);
    std::vector<float> targets;
    for (const int label : labels) targets.push_back(label == positive ? 1.0f : 0.0f);
    return targets;
  };
  return grow_outputs(x, outputs, targets, options);
}

Forest train_regression_forest(const SparseMatrix& x, std::span<const float> numbers,
                               const ForestOptions& options) {
  return grow_outputs(
      x, 1, [&](int64_t) { return std::vector<float>(numbers.begin(), numbers.end()); }, options);
}

}  // namespace wattle::inline train
