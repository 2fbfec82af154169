#include "study/statistics.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include <wattle/error.h>

namespace wattle {
namespace {

constexpr double kZ95 = 1.959963984540054;  // 97.5 % point of the standard normal

}  // namespace

double quantile(std::span<const double> values, double q) {
  if (values.empty()) fail("a quantile of no values was asked for; measure at least one window");
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double place = q * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(std::floor(place));
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - std::floor(place)) * (sorted[above] - sorted[below]);
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

Interval wilson(int64_t successes, int64_t n) {
  if (n <= 0) fail("a proportion of no rows was asked for; give the study at least one evaluation row");
  const double count = static_cast<double>(n);
  const double p = static_cast<double>(successes) / count;
  const double z2 = kZ95 * kZ95;
  const double centre = (p + z2 / (2 * count)) / (1 + z2 / count);
  const double half = kZ95 / (1 + z2 / count) * std::sqrt(p * (1 - p) / count + z2 / (4 * count * count));
  return {p, std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

uint64_t Random::next() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// The 128-bit product maps 64 random bits onto 0 .. n-1; its bias of n / 2^64 is far below anything measured
// here.
int64_t Random::below(int64_t n) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<int64_t>((static_cast<Wide>(next()) * static_cast<uint64_t>(n)) >> 64);
}

double Random::uniform() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
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
  interval.low = quantile(values, 0.025);
  interval.high = quantile(values, 0.975);
  return interval;
}

std::vector<int64_t> shuffled(int64_t n, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  for (int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return order;
}

}  // namespace wattle
