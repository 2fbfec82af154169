#include "meter/phase_regression.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace wattle::inline meter {
namespace {

/// Standard deviation of a factor about the mean of all, before any window was seen: 95 of 100 lie within a
/// factor of two.
constexpr double kPriorSpread = 0.5;
constexpr double kLeastFactor = 0.05;  // no phase draws nothing

/// Gauss-Jordan elimination with the greatest pivot.
PhaseRegression::Parts solve(std::array<PhaseRegression::Parts, PhaseRegression::kParts> a,
                             PhaseRegression::Parts b) {
  for (size_t i = 0; i < b.size(); ++i) {
    size_t pivot = i;
    for (size_t k = i + 1; k < b.size(); ++k) {
      if (std::abs(a[k][i]) > std::abs(a[pivot][i])) pivot = k;
    }
    std::swap(a[i], a[pivot]);
    std::swap(b[i], b[pivot]);
    for (size_t k = 0; k < b.size(); ++k) {
      if (k == i) continue;
      const double factor = a[k][i] / a[i][i];
      for (size_t j = i; j < b.size(); ++j) a[k][j] -= factor * a[i][j];
      b[k] -= factor * b[i];
    }
  }
  for (size_t i = 0; i < b.size(); ++i) b[i] /= a[i][i];
  return b;
}

}  // namespace

void PhaseRegression::add(const Parts& expected, double joules, double error) {
  double sum = 0;
  for (const double part : expected) sum += part;
  if (!(sum > 0 && joules > 0 && error > 0)) return;
  for (size_t i = 0; i < kParts; ++i) {
    for (size_t j = 0; j < kParts; ++j) squares_[i][j] += expected[i] * expected[j] / (error * error);
    products_[i] += expected[i] * joules / (error * error);
  }
  expected_ += sum;
  joules_ += joules;
}

PhaseRegression::Parts PhaseRegression::factors() const {
  Parts factors;
  factors.fill(1);
  if (expected_ == 0) return factors;
  const double mean = joules_ / expected_;
  const double certainty = 1 / std::pow(kPriorSpread * mean, 2);
  std::array<Parts, kParts> squares = squares_;
  Parts products = products_;
  for (size_t i = 0; i < kParts; ++i) {
    squares[i][i] += certainty;
    products[i] += certainty * mean;
  }
  factors = solve(squares, products);
  for (double& factor : factors) factor = std::max(factor, kLeastFactor * mean);
  return factors;
}

}  // namespace wattle::inline meter
