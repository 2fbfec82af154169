#include "statistics/intervals.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include <wattle/error.h>

#include "statistics/descriptive.h"
#include "statistics/distributions.h"
#include "statistics/random.h"

namespace wattle::inline statistics {

Interval student_interval(std::span<const double> values) {
  const double middle = mean(values), n = static_cast<double>(values.size());
  if (values.size() < kLeastRepetitions) {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    return {middle, kUnknown, kUnknown};
  }
  const double half = student_t_quantile(0.975, n - 1) * std::sqrt(variance(values) / n);
  return {middle, middle - half, middle + half};
}

Interval student_interval_of_logs(std::span<const double> values) {
  std::vector<double> logs(values.begin(), values.end());
  for (double& value : logs) {
    if (!(value > 0)) fail("the logarithm of {} was asked for; leave out windows without energy", value);
    value = std::log(value);
  }
  const Interval interval = student_interval(logs);
  return {std::exp(interval.value), std::exp(interval.low), std::exp(interval.high)};
}

Interval wilson(int64_t successes, int64_t n) {
  if (n <= 0) fail("a proportion of no rows was asked for; give the study at least one evaluation row");
  const double count = static_cast<double>(n), z = normal_quantile(0.975);
  const double p = static_cast<double>(successes) / count;
  const double z2 = z * z;
  const double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
  const double half = z / (1 + z2 / count) * std::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  return {p, std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

double probability_at_least(double bar, int64_t successes, int64_t n) {
  const double right = static_cast<double>(successes), wrong = static_cast<double>(n - successes);
  return beta_cdf(1 - bar, wrong + 0.5, right + 0.5);
}

Interval bootstrap(int64_t n, uint64_t seed, const std::function<double(std::span<const int64_t>)>& statistic,
                   int resamples) {
  std::vector<int64_t> indices(static_cast<size_t>(n));
  std::iota(indices.begin(), indices.end(), 0);
  Interval interval;
  interval.value = statistic(indices);
  Random random(seed);
  std::vector<double> values(static_cast<size_t>(resamples));
  for (double& value : values) {
    for (int64_t& index : indices) index = random.below(n);
    value = statistic(indices);
  }
  std::erase_if(values, [](double value) { return std::isnan(value); });
  if (values.empty()) {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    return {interval.value, kUnknown, kUnknown};
  }
  interval.low = quantile(values, 0.025);
  interval.high = quantile(values, 0.975);
  return interval;
}

}  // namespace wattle::inline statistics
