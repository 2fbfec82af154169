#include "train/ridge.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>
#include <vector>

#include <wattle/error.h>

#include "base/interrupt.h"

namespace wattle::inline train {
namespace {

constexpr int64_t kMostFeatures = 4096;

/// Sums over rows that a fit needs: of features [n], of their products [n, n] (the lower half) and of their
/// products with the numbers [n].
struct Sums {
  explicit Sums(size_t n) : features(n, 0), squares(n * n, 0), products(n, 0) {}

  void add(const SparseMatrix& x, size_t row, double number, double sign) {
    const size_t n = features.size();
    const auto begin = static_cast<size_t>(x.offsets[row]), end = static_cast<size_t>(x.offsets[row + 1]);
    for (size_t e = begin; e < end; ++e) {
      const auto f = static_cast<size_t>(x.indices[e]);
      const double value = sign * static_cast<double>(x.values[e]);
      features[f] += value;
      products[f] += value * number;
      for (size_t g = begin; g <= e; ++g)
        squares[f * n + static_cast<size_t>(x.indices[g])] += value * static_cast<double>(x.values[g]);
    }
    numbers += sign * number;
    count += sign;
  }

  std::vector<double> features, squares, products;
  double numbers = 0, count = 0;
};

struct Line {
  std::vector<double> weights;
  double bias = 0;
};

/// Solves a x = b for a symmetric positive definite matrix, of which the lower half is read and overwritten.
std::vector<double> solve(std::vector<double>& a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i * n + j];
      for (size_t k = 0; k < j; ++k) sum -= a[i * n + k] * a[j * n + k];
      a[i * n + j] = i == j ? std::sqrt(sum) : sum / a[j * n + j];
    }
    for (size_t k = 0; k < i; ++k) b[i] -= a[i * n + k] * b[k];
    b[i] /= a[i * n + i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k * n + i] * b[k];
    b[i] /= a[i * n + i];
  }
  return b;
}

Line fit(const Sums& sums, double cost) {
  throw_if_interrupted();
  const size_t n = sums.features.size();
  const double mean = sums.numbers / sums.count;
  std::vector<double> a = sums.squares, b = sums.products;
  for (size_t i = 0; i < n; ++i) {
    b[i] -= sums.features[i] * mean;
    for (size_t j = 0; j <= i; ++j) a[i * n + j] -= sums.features[i] * sums.features[j] / sums.count;
    a[i * n + i] += 1 / cost;
  }
  Line line{solve(a, std::move(b)), mean};
  for (size_t i = 0; i < n; ++i) line.bias -= line.weights[i] * sums.features[i] / sums.count;
  return line;
}

double answer(const SparseMatrix& x, size_t row, const Line& line) {
  double sum = line.bias;
  for (auto e = static_cast<size_t>(x.offsets[row]); e < static_cast<size_t>(x.offsets[row + 1]); ++e)
    sum += static_cast<double>(x.values[e]) * line.weights[static_cast<size_t>(x.indices[e])];
  return sum;
}

std::vector<CostScore> cross_validate_ridge(const SparseMatrix& x, std::span<const float> numbers,
                                            const Sums& all, const LinearOptions& options) {
  const std::vector<int> same(numbers.size(), 0);
  const std::vector<int> fold_of = stratified_folds(same, 1, options.folds, options.seed);
  std::vector<double> errors(options.costs.size(), 0);
  for (int fold = 0; fold < options.folds; ++fold) {
    Sums others = all;
    for (size_t i = 0; i < numbers.size(); ++i) {
      if (fold_of[i] == fold) others.add(x, i, static_cast<double>(numbers[i]), -1);
    }
    if (others.count < 1) continue;
    for (size_t c = 0; c < options.costs.size(); ++c) {
      const Line line = fit(others, options.costs[c]);
      for (size_t i = 0; i < numbers.size(); ++i) {
        const double off = fold_of[i] == fold ? answer(x, i, line) - static_cast<double>(numbers[i]) : 0;
        errors[c] += off * off;
      }
    }
    if (options.progress)
      options.progress(static_cast<double>(fold + 1) / static_cast<double>(options.folds + 1));
  }
  double variance = 0;
  for (const float number : numbers) {
    const double off = static_cast<double>(number) - all.numbers / all.count;
    variance += off * off;
  }
  std::vector<CostScore> scores;
  for (size_t c = 0; c < errors.size(); ++c)
    scores.push_back({options.costs[c], variance > 0 ? 1 - errors[c] / variance : 0});
  return scores;
}

}  // namespace

LinearFit train_ridge(const SparseMatrix& x, std::span<const float> numbers, const LinearOptions& options) {
  if (x.columns > kMostFeatures) {
    fail(
        "a linear head for numbers reads at most {} features, and these rows have {}; leave columns of many "
        "categories out, or train a forest",
        kMostFeatures, x.columns);
  }
  LinearOptions sorted = options;
  std::ranges::sort(sorted.costs);
  Sums sums(static_cast<size_t>(x.columns));
  for (size_t i = 0; i < numbers.size(); ++i) sums.add(x, i, static_cast<double>(numbers[i]), 1);
  LinearFit result;
  result.cost = sorted.costs.front();
  if (sorted.costs.size() > 1) {
    result.scores = cross_validate_ridge(x, numbers, sums, sorted);
    result.cost = std::ranges::max_element(result.scores, {}, &CostScore::accuracy)->cost;
  }
  const Line line = fit(sums, result.cost);
  result.model.features = x.columns;
  for (const double weight : line.weights) result.model.weights.push_back(static_cast<float>(weight));
  result.model.bias = {static_cast<float>(line.bias)};
  return result;
}

}  // namespace wattle::inline train
