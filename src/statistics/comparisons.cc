#include "statistics/comparisons.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <wattle/error.h>

#include "statistics/descriptive.h"
#include "statistics/distributions.h"
#include "statistics/intervals.h"

namespace wattle::inline statistics {
namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::vector<double> logarithms(std::span<const double> values) {
  std::vector<double> logs(values.begin(), values.end());
  for (double& value : logs) value = value > 0 ? std::log(value) : kUnknown;
  return logs;
}

std::vector<double> differences(std::span<const double> a, std::span<const double> b) {
  if (a.size() != b.size()) fail("{} values cannot be paired with {}", a.size(), b.size());
  std::vector<double> result(a.size());
  for (size_t i = 0; i < a.size(); ++i) result[i] = a[i] - b[i];
  return result;
}

/// Two-sided p of a mean with its standard error; equal values differ for sure, or not at all.
double p_of(double mean, double error, double degrees) {
  if (error == 0) return mean == 0 ? 1 : 0;
  return std::min(1.0, 2 * student_t_cdf(-std::abs(mean) / error, degrees));
}

Ratio of_logs(double mean, double error, double degrees) {
  if (std::isnan(mean)) return {{kUnknown, kUnknown, kUnknown}, kUnknown};
  const double half = error > 0 ? student_t_quantile(0.975, degrees) * error : 0;
  return {{std::exp(mean), std::exp(mean - half), std::exp(mean + half)}, p_of(mean, error, degrees)};
}

}  // namespace

Ratio ratio_of(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = logarithms(a), y = logarithms(b);
  const double difference = mean(x) - mean(y);
  if (std::min(a.size(), b.size()) < kLeastRepetitions)
    return {{std::exp(difference), kUnknown, kUnknown}, kUnknown};
  const auto n = static_cast<double>(a.size()), m = static_cast<double>(b.size());
  const double vx = variance(x) / n, vy = variance(y) / m, sum = vx + vy;
  // Satterthwaite's degrees of freedom (1946).
  const double degrees = sum > 0 ? sum * sum / (vx * vx / (n - 1) + vy * vy / (m - 1)) : n + m - 2;
  return of_logs(difference, std::sqrt(sum), degrees);
}

Ratio paired_ratio_of(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> apart = differences(logarithms(a), logarithms(b));
  const auto n = static_cast<double>(apart.size());
  if (apart.size() < kLeastRepetitions) return {{std::exp(mean(apart)), kUnknown, kUnknown}, kUnknown};
  return of_logs(mean(apart), std::sqrt(variance(apart) / n), n - 1);
}

double paired_t_test(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> apart = differences(a, b);
  if (apart.size() < kLeastRepetitions) return kUnknown;
  const auto n = static_cast<double>(apart.size());
  return p_of(mean(apart), std::sqrt(variance(apart) / n), n - 1);
}

double mcnemar_test(int64_t only_a, int64_t only_b) {
  const int64_t n = only_a + only_b, fewer = std::min(only_a, only_b);
  if (only_a == only_b) return 1;
  // P(X <= k) of a fair coin is a value of the incomplete beta function.
  return std::min(1.0, 2 * beta_cdf(0.5, static_cast<double>(n - fewer), static_cast<double>(fewer + 1)));
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<double> corrected(p.begin(), p.end());
  std::vector<size_t> order;
  for (size_t i = 0; i < p.size(); ++i) {
    if (!std::isnan(p[i])) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] < p[b]; });
  double greatest = 0;
  for (size_t place = 0; place < order.size(); ++place) {
    greatest = std::max(greatest, p[order[place]] * static_cast<double>(order.size() - place));
    corrected[order[place]] = std::min(1.0, greatest);
  }
  return corrected;
}

}  // namespace wattle::inline statistics
