#include "train/linear.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <numeric>
#include <random>
#include <thread>
#include <utility>

#include <linear.h>

#include "base/interrupt.h"
#include "base/threads.h"

namespace wattle::inline train {
namespace {

/// LIBLINEAR's form of the rows: (index from 1, value) ... ended by index -1. The last feature is a
/// constant 1.
class LiblinearRows {
 public:
  explicit LiblinearRows(const SparseMatrix& x) : n_(static_cast<int>(x.columns) + 1) {
    nodes_.reserve(x.values.size() + static_cast<size_t>(2 * x.rows()));
    for (int64_t i = 0; i < x.rows(); ++i) {
      rows_.push_back(nodes_.data() + nodes_.size());
      for (int64_t e = x.offsets[i]; e < x.offsets[i + 1]; ++e)
        nodes_.push_back({x.indices[e] + 1, x.values[e]});
      nodes_.push_back({n_, 1.0});
      nodes_.push_back({-1, 0.0});
    }
  }
  int n() const { return n_; }
  feature_node* row(size_t i) const { return rows_[i]; }

  double decision(size_t i, const std::vector<double>& weights) const {
    double sum = 0;
    for (const feature_node* node = rows_[i]; node->index > 0; ++node) {
      sum += weights[static_cast<size_t>(node->index - 1)] * node->value;
    }
    return sum;
  }

 private:
  int n_;
  std::vector<feature_node> nodes_;
  std::vector<feature_node*> rows_;
};

struct FreeModel {
  void operator()(model* m) const { free_and_destroy_model(&m); }
};

/// Weights [n] of `positive` against all other labels on the rows `chosen`; `start` is empty or where to
/// begin.
std::vector<double> train_binary(const LiblinearRows& rows, std::span<const size_t> chosen,
                                 std::span<const int> labels, int positive, double cost,
                                 std::vector<double> start) {
  std::vector<double> y;
  std::vector<feature_node*> x;
  for (const size_t i : chosen) {
    y.push_back(labels[i] == positive ? 1 : -1);
    x.push_back(rows.row(i));
  }
  const auto positives = std::count(y.begin(), y.end(), 1.0);
  if (positives == 0 || positives == static_cast<std::ptrdiff_t>(y.size())) {
    // One class only: there is no direction to learn, and the constant says which class it is.
    std::vector<double> weights(static_cast<size_t>(rows.n()), 0.0);
    weights.back() = std::copysign(std::log(1 + static_cast<double>(y.size())), positives == 0 ? -1 : 1);
    return weights;
  }
  problem data{static_cast<int>(y.size()), rows.n(), y.data(), x.data(), -1};
  parameter settings{};
  settings.solver_type = L2R_LR;
  settings.eps = 0.01;
  settings.C = cost;
  settings.init_sol = start.empty() ? nullptr : start.data();
  const std::unique_ptr<model, FreeModel> fitted(::train(&data, &settings));
  std::vector<double> weights(fitted->w, fitted->w + rows.n());
  if (fitted->label[0] != 1) {
    for (double& weight : weights) weight = -weight;
  }
  return weights;
}

class Trainer {
 public:
  Trainer(const SparseMatrix& x, std::span<const int> labels, int n_labels)
      : rows_(x), labels_(labels), outputs_(n_labels == 2 ? 1 : static_cast<size_t>(n_labels)) {
    set_print_string_function([](const char*) {});
  }

  size_t outputs() const { return outputs_; }

  /// One weight vector for each output of each set of rows; `weights` is where to begin and the result.
  /// `progress` is told the part that is done, 0..1.
  void train_sets(const std::vector<std::vector<size_t>>& sets, double cost,
                  std::vector<std::vector<double>>& weights,
                  const std::function<void(double)>& progress) const {
    const auto jobs = static_cast<int64_t>(sets.size() * outputs_);
    std::atomic<int64_t> done = 0;
    const std::thread::id caller = std::this_thread::get_id();
    for_each_part(jobs, [&](int64_t job) {
      if (interrupted()) return;
      const size_t set = static_cast<size_t>(job) / outputs_, output = static_cast<size_t>(job) % outputs_;
      std::vector<double>& result = weights[static_cast<size_t>(job)];
      result = train_binary(rows_, sets[set], labels_, outputs_ == 1 ? 1 : static_cast<int>(output), cost,
                            std::move(result));
      ++done;
      if (std::this_thread::get_id() == caller)
        progress(static_cast<double>(done) / static_cast<double>(jobs));
    });
    throw_if_interrupted();
  }

  int64_t correct(std::span<const size_t> chosen, std::span<const std::vector<double>> weights) const {
    return std::count_if(chosen.begin(), chosen.end(),
                         [&](size_t row) { return best_label(row, weights) == labels_[row]; });
  }

 private:
  int best_label(size_t row, std::span<const std::vector<double>> weights) const {
    if (weights.size() == 1) return rows_.decision(row, weights[0]) > 0 ? 1 : 0;
    std::vector<double> decisions;
    for (const auto& output : weights) decisions.push_back(rows_.decision(row, output));
    return static_cast<int>(std::max_element(decisions.begin(), decisions.end()) - decisions.begin());
  }

  LiblinearRows rows_;
  std::span<const int> labels_;
  size_t outputs_;
};

std::vector<CostScore> cross_validate(const Trainer& trainer, std::span<const int> labels, int n_labels,
                                      const LinearOptions& options, const std::vector<double>& costs,
                                      const std::function<void(double)>& progress) {
  const auto folds = static_cast<size_t>(options.folds);
  const std::vector<int> fold_of = options.fold_of.empty()
                                       ? stratified_folds(labels, n_labels, options.folds, options.seed)
                                       : options.fold_of;
  std::vector<std::vector<size_t>> train_rows(folds), test_rows(folds);
  size_t tested = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    if (fold_of[i] < 0) continue;
    ++tested;
    for (size_t f = 0; f < folds; ++f)
      (fold_of[i] == static_cast<int>(f) ? test_rows : train_rows)[f].push_back(i);
  }
  std::vector<CostScore> scores;
  // Each cost begins at the solution of the one before: about half the iterations.
  std::vector<std::vector<double>> weights(folds * trainer.outputs());
  for (const double cost : costs) {
    trainer.train_sets(train_rows, cost, weights, [&](double part) {
      progress((static_cast<double>(scores.size()) + part) / static_cast<double>(costs.size()));
    });
    int64_t correct = 0;
    for (size_t f = 0; f < folds; ++f) {
      correct +=
          trainer.correct(test_rows[f], std::span(weights).subspan(f * trainer.outputs(), trainer.outputs()));
    }
    scores.push_back({cost, static_cast<double>(correct) / static_cast<double>(tested)});
  }
  return scores;
}

LinearModel to_model(const std::vector<std::vector<double>>& weights, int64_t features) {
  LinearModel model;
  model.features = features;
  model.weights.reserve(static_cast<size_t>(features) * weights.size());
  for (size_t f = 0; f < static_cast<size_t>(features); ++f) {
    for (const auto& output : weights) model.weights.push_back(static_cast<float>(output[f]));
  }
  for (const auto& output : weights) model.bias.push_back(static_cast<float>(output.back()));
  return model;
}

void add_scaled(float factor, const float* row, std::span<float> sum) {
  for (size_t k = 0; k < sum.size(); ++k) sum[k] += factor * row[k];
}

void count_products(size_t features, size_t outputs, Work& work) {
  work.macs_fp32 += static_cast<double>(features * outputs);
  work.weight_bytes += static_cast<double>((features + 1) * outputs * sizeof(float));
}

}  // namespace

void LinearModel::decide(const SparseVector& x, std::span<float> decisions, Work& work) const {
  std::copy(bias.begin(), bias.end(), decisions.begin());
  for (size_t i = 0; i < x.size(); ++i) {
    add_scaled(x.values[i], weights.data() + static_cast<size_t>(x.columns[i]) * bias.size(), decisions);
  }
  count_products(x.size(), bias.size(), work);
}

LinearFit train_linear(const SparseMatrix& x, std::span<const int> labels, int n_labels,
                       const LinearOptions& options) {
  LinearFit fit;
  const Trainer trainer(x, labels, n_labels);
  std::vector<double> costs = options.costs;
  std::sort(costs.begin(), costs.end());
  fit.cost = costs.front();
  // A fold trains on (folds - 1) / folds of the rows; the last fit on all of them, once.
  const double search = costs.size() > 1 ? static_cast<double>(costs.size()) * (options.folds - 1) : 0;
  const auto progress = [&](double fits) {
    if (options.progress) options.progress(fits / (search + 1));
  };
  if (costs.size() > 1) {
    fit.scores = cross_validate(trainer, labels, n_labels, options, costs,
                                [&](double part) { progress(part * search); });
    fit.cost =
        std::max_element(fit.scores.begin(), fit.scores.end(), [](const CostScore& a, const CostScore& b) {
          return a.accuracy < b.accuracy;
        })->cost;
  }
  std::vector<size_t> all(labels.size());
  std::iota(all.begin(), all.end(), size_t{0});
  std::vector<std::vector<double>> weights(trainer.outputs());
  trainer.train_sets({all}, fit.cost, weights, [&](double part) { progress(search + part); });
  fit.model = to_model(weights, x.columns);
  return fit;
}

std::vector<int> stratified_folds(std::span<const int> labels, int n_labels, int folds, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int> fold_of(labels.size());
  int next = 0;  // carried from label to label, so that rare labels do not all begin with fold 0
  for (int label = 0; label < n_labels; ++label) {
    std::vector<size_t> rows;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] == label) rows.push_back(i);
    }
    // Fisher-Yates by hand: std::shuffle may differ between standard libraries.
    for (size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random() % i]);
    for (const size_t row : rows) fold_of[row] = next++ % folds;
  }
  return fold_of;
}

void to_probabilities(std::span<const float> decisions, std::span<float> probabilities) {
  // Clamped, so that the sum below stays above zero.
  const auto sigmoid = [](float x) { return 1 / (1 + std::exp(-std::clamp(x, -40.0f, 40.0f))); };
  if (decisions.size() == 1) {
    probabilities[1] = sigmoid(decisions[0]);
    probabilities[0] = 1 - probabilities[1];
    return;
  }
  float sum = 0;
  for (size_t k = 0; k < decisions.size(); ++k) sum += probabilities[k] = sigmoid(decisions[k]);
  for (float& probability : probabilities) probability /= sum;
}

}  // namespace wattle::inline train
