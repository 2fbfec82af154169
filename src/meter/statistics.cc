#include "meter/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace wattle {
namespace {

double average(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double variance_of_mean(std::span<const double> values) {
  const double mean = average(values);
  double sum = 0;
  for (const double value : values) sum += (value - mean) * (value - mean);
  const double n = static_cast<double>(values.size());
  return sum / (n - 1) / n;
}

}  // namespace

double student_t(double degrees) {
  static constexpr double kTable[] = {12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228};
  if (degrees < 1) return kTable[0];
  if (degrees < 10) {
    const int below = static_cast<int>(degrees);
    return kTable[below - 1] + (degrees - below) * (kTable[below] - kTable[below - 1]);
  }
  // Cornish-Fisher expansion (Abramowitz and Stegun 26.7.5); within 0.0005 from ten degrees on.
  const double n = degrees, z = 1.959964, z3 = z * z * z, z5 = z3 * z * z, z7 = z5 * z * z;
  return z + (z3 + z) / (4 * n) + (5 * z5 + 16 * z3 + 3 * z) / (96 * n * n) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / (384 * n * n * n);
}

Mean mean_of(std::span<const double> values) {
  Mean mean;
  mean.n = static_cast<int>(values.size());
  mean.value = values.empty() ? 0 : average(values);
  mean.half = values.size() < 2 ? NAN : student_t(mean.n - 1) * std::sqrt(variance_of_mean(values));
  return mean;
}

Ratio ratio_of(std::span<const double> a, std::span<const double> b) {
  Ratio ratio;
  const double mean_a = average(a), mean_b = average(b);
  ratio.value = mean_a / mean_b;
  ratio.low = ratio.high = NAN;
  if (a.size() < 2 || b.size() < 2) return ratio;
  const double va = variance_of_mean(a) / (mean_a * mean_a), vb = variance_of_mean(b) / (mean_b * mean_b);
  const double sum = std::max(va + vb, 1e-24);
  const double degrees =
      sum * sum /
      std::max(va * va / static_cast<double>(a.size() - 1) + vb * vb / static_cast<double>(b.size() - 1),
               1e-60);
  const double half = student_t(degrees) * std::sqrt(sum);
  ratio.low = ratio.value * std::exp(-half);
  ratio.high = ratio.value * std::exp(half);
  return ratio;
}

}  // namespace wattle
