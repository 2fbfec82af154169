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

/// Answers are summed as whole numbers of at most so many bits, and so many of them stay below 2^63.
constexpr int kUnitBits = 40;
constexpr size_t kMaxTrees = size_t{1} << 22;

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
  std::vector<Forest::Node> nodes;
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
    const size_t place = grown_.nodes.size();
    grown_.nodes.push_back({-1, values_[i], -1});
    if (left_[i] < 0) return;
    const bool near_left = missing_left_[i] != 0;
    append(near_left ? left_[i] : right_[i]);
    grown_.nodes[place].split = 2 * features_[i] + (near_left ? 1 : 0);
    grown_.nodes[place].far = static_cast<int32_t>(grown_.nodes.size());
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
  for (Forest::Node& node : grown.nodes) {
    if (node.split < 0) node.value *= static_cast<float>(trees);
  }
  return grown;
}

}  // namespace

Forest::Forest(int64_t features, int64_t outputs, std::vector<Node> nodes, std::vector<int32_t> roots,
               const std::string& origin)
    : features_(features), outputs_(outputs), nodes_(std::move(nodes)), roots_(std::move(roots)) {
  check(origin);
  float greatest = 0;
  for (const Node& node : nodes_) {
    if (node.split < 0) greatest = std::max(greatest, std::abs(node.value));
  }
  if (greatest > 0) units_ = std::ldexp(1.0, kUnitBits - std::ilogb(greatest));
  find_turns();
}

void Forest::check(const std::string& origin) const {
  const auto count = static_cast<int32_t>(nodes_.size());
  bool sound = outputs_ > 0 && !roots_.empty() && roots_.size() % static_cast<size_t>(outputs_) == 0 &&
               roots_.size() <= kMaxTrees;
  for (const int32_t root : roots_) sound = sound && root >= 0 && root < count;
  for (int32_t i = 0; sound && i < count; ++i) {
    const Node& node = nodes_[static_cast<size_t>(i)];
    if (node.split < 0) {
      sound = node.split == -1 && std::isfinite(node.value);
    } else {
      sound = node.split / 2 < features_ && node.far > i && node.far < count && i + 1 < count;
    }
  }
  if (!sound) fail("{}: the trees of the forest are damaged; train the head again", origin);
}

int64_t Forest::in_units(float answer) const {
  return static_cast<int64_t>(static_cast<double>(answer) * units_);
}

/// The nodes of each tree's way of absence, by the feature that they test.
void Forest::find_turns() {
  std::vector<uint32_t> counts(static_cast<size_t>(features_) + 1, 0);
  const auto over_ways = [&](auto each) {
    for (size_t t = 0; t < roots_.size(); ++t) {
      auto node = static_cast<size_t>(roots_[t]);
      for (; nodes_[node].split >= 0; ++node)
        each(t, nodes_[node], static_cast<size_t>(nodes_[node].split / 2));
      each(t, nodes_[node], static_cast<size_t>(features_));
    }
  };
  over_ways([&](size_t, const Node&, size_t feature) { ++counts[feature]; });
  turn_offsets_.assign(static_cast<size_t>(features_) + 1, 0);
  for (size_t f = 0; f < static_cast<size_t>(features_); ++f)
    turn_offsets_[f + 1] = turn_offsets_[f] + counts[f];
  turns_.resize(turn_offsets_.back());
  absent_sums_.assign(static_cast<size_t>(outputs_), 0);
  absent_answers_.assign(roots_.size(), 0);
  std::vector<uint32_t> next(turn_offsets_.begin(), turn_offsets_.end() - 1);
  const size_t trees = roots_.size() / static_cast<size_t>(outputs_);
  over_ways([&](size_t t, const Node& node, size_t feature) {
    if (feature < static_cast<size_t>(features_)) {
      turns_[next[feature]++] = {node.value, 2 * static_cast<int32_t>(t) + (node.split & 1), node.far};
      return;
    }
    absent_answers_[t] = in_units(node.value);
    absent_sums_[t / trees] += absent_answers_[t];
  });
}

/// What the leaf says at which a descent from `begin` ends.
float Forest::answer_after(int32_t begin, const Scratch& scratch, int64_t& visited) const {
  // A leaf's split is -1, and so is its half: the byte before the features', which is 1.
  const uint8_t* const present = scratch.present.data() + 1;
  const float* const values = scratch.values.data();
  const Node* const nodes = nodes_.data();
  const Node* node = nodes + begin;
  for (;;) {
    const Node* const first = node;
    while (present[node->split >> 1] == 0) ++node;
    visited += node - first + 1;
    if (node->split < 0) return node->value;
    const bool near = (values[node->split >> 1] < node->value) == ((node->split & 1) != 0);
    node = near ? node + 1 : nodes + node->far;
  }
}

void Forest::add_all(const Scratch& scratch, std::span<int64_t> sums, int64_t& visited) const {
  const size_t trees = roots_.size() / sums.size();
  for (size_t k = 0; k < sums.size(); ++k) {
    for (size_t t = 0; t < trees; ++t)
      sums[k] += in_units(answer_after(roots_[k * trees + t], scratch, visited));
  }
}

/// The number of trees whose way of absence the row leaves, and where each goes on: after the turn that is
/// nearest to the root. Without branches, which would be guessed wrong every other time.
size_t Forest::find_turned(const SparseVector& x, Scratch& scratch, int64_t& visited) const {
  size_t turned = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const auto feature = static_cast<size_t>(x.columns[i]);
    const float value = x.values[i];
    if (std::isnan(value)) continue;
    const uint32_t begin = turn_offsets_[feature], end = turn_offsets_[feature + 1];
    visited += end - begin;
    for (uint32_t e = begin; e < end; ++e) {
      const Turn& turn = turns_[e];
      int32_t& entered = scratch.entered[static_cast<size_t>(turn.tree >> 1)];
      const bool leaves = (value < turn.threshold) != ((turn.tree & 1) != 0);
      scratch.turned[turned] = turn.tree >> 1;
      turned += static_cast<size_t>(leaves & (entered == 0));
      entered = std::max(entered, turn.far & -static_cast<int32_t>(leaves));
    }
  }
  return turned;
}

void Forest::add_turned(const SparseVector& x, Scratch& scratch, int64_t& visited) const {
  std::copy(absent_sums_.begin(), absent_sums_.end(), scratch.sums.begin());
  const size_t turned = find_turned(x, scratch, visited);
  const size_t trees = roots_.size() / scratch.sums.size();
  for (size_t i = 0; i < turned; ++i) {
    const auto tree = static_cast<size_t>(scratch.turned[i]);
    const float answer = answer_after(scratch.entered[tree], scratch, visited);
    scratch.sums[tree / trees] += in_units(answer) - absent_answers_[tree];
    scratch.entered[tree] = 0;
  }
}

void Forest::shares(const SparseVector& x, Scratch& scratch, std::span<float> shares, Work& work) const {
  if (scratch.values.size() != static_cast<size_t>(features_) || scratch.entered.size() != roots_.size()) {
    scratch.values.assign(static_cast<size_t>(features_), 0);
    scratch.present.assign(static_cast<size_t>(features_) + 1, 0);
    scratch.present[0] = 1;
    scratch.entered.assign(roots_.size(), 0);
    scratch.turned.resize(roots_.size() + 1);
    scratch.sums.resize(static_cast<size_t>(outputs_));
  }
  for (size_t i = 0; i < x.size(); ++i) {
    const auto feature = static_cast<size_t>(x.columns[i]);
    scratch.values[feature] = x.values[i];
    scratch.present[feature + 1] = std::isnan(x.values[i]) ? 0 : 1;
  }
  int64_t visited = 0;
  // Rows that have many of the features leave nearly every way of absence at once.
  if (static_cast<int64_t>(x.size()) > features_ / 4) {
    std::ranges::fill(scratch.sums, 0);
    add_all(scratch, scratch.sums, visited);
  } else {
    add_turned(x, scratch, visited);
  }
  const double trees = static_cast<double>(roots_.size()) / static_cast<double>(outputs_);
  for (size_t k = 0; k < shares.size(); ++k)
    shares[k] = static_cast<float>(static_cast<double>(scratch.sums[k]) / (units_ * trees));
  for (const int32_t column : x.columns) scratch.present[static_cast<size_t>(column) + 1] = 0;
  work.weight_bytes += static_cast<double>(visited) * sizeof(Node);
}

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
  std::vector<Forest::Node> nodes;
  std::vector<int32_t> roots;
  for (Trees& part : grown) {
    const auto base = static_cast<int32_t>(nodes.size());
    for (const int32_t root : part.roots) roots.push_back(base + root);
    for (Forest::Node node : part.nodes) {
      if (node.split >= 0) node.far += base;
      nodes.push_back(node);
    }
    part = {};
  }
  return Forest(x.columns, outputs, std::move(nodes), std::move(roots), "the forest");
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
