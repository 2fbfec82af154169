#include "statistics/descriptive.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <wattle/error.h>

namespace wattle::inline statistics {
namespace {

void need(std::span<const double> values, const char* what) {
  if (values.empty()) fail("a {} of no values was asked for; measure at least one window", what);
}

}  // namespace

double mean(std::span<const double> values) {
  need(values, "mean");
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double variance(std::span<const double> values) {
  const double middle = mean(values);
  double sum = 0;
  for (const double value : values) sum += (value - middle) * (value - middle);
  return values.size() < 2 ? 0 : sum / static_cast<double>(values.size() - 1);
}

double quantile(std::span<const double> values, double q) {
  need(values, "quantile");
  std::vector<double> sorted(values.begin(), values.end());
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(place));
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(below);
  std::nth_element(sorted.begin(), at, sorted.end());
  if (below + 1 == sorted.size()) return *at;
  const double above = *std::min_element(at + 1, sorted.end());
  return *at + (place - std::floor(place)) * (above - *at);
}

double median(std::span<const double> values) {
  return quantile(values, 0.5);
}

double median_absolute_deviation(std::span<const double> values) {
  const double middle = median(values);
  std::vector<double> deviations(values.begin(), values.end());
  for (double& value : deviations) value = std::abs(value - middle);
  return median(deviations);
}

std::vector<bool> outliers(std::span<const double> values) {
  std::vector<bool> flags(values.size(), false);
  if (values.size() < 3) return flags;
  const double middle = median(values);
  const double scale = 1.4826 * median_absolute_deviation(values);
  for (size_t i = 0; i < values.size(); ++i)
    flags[i] = scale > 0 && std::abs(values[i] - middle) > 3.5 * scale;
  return flags;
}

}  // namespace wattle::inline statistics
