#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <wattle/study.h>

namespace wattle {

/// Middle value (mean of the two middle ones). Error on none.
double median(std::span<const double> values);

/// Quantile `q` in [0, 1] with linear interpolation between order statistics (Hyndman and Fan's type 7,
/// numpy's default).
double quantile(std::span<const double> values, double q);

/// Median absolute deviation from the median, unscaled.
double median_absolute_deviation(std::span<const double> values);

/// Which values lie more than 3.5 scaled deviations (1.4826 MAD) from the median (Iglewicz and Hoaglin 1993).
std::vector<bool> outliers(std::span<const double> values);

/// Wilson's score interval of `successes` of `n` at 95 % (Wilson 1927).
Interval wilson(int64_t successes, int64_t n);

/// Index drawn uniformly from 0 .. n-1. Written here because the standard library's distributions differ
/// between implementations, and the same seed must give the same study everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();  ///< SplitMix64 (Steele et al. 2014)
  int64_t below(int64_t n);
  double uniform();  ///< [0, 1)
  double normal();   ///< standard normal (Box and Muller 1958)

 private:
  uint64_t state_;
};

/// 95 % percentile interval (Efron 1979) of `statistic` over `resamples` draws of n indices with replacement;
/// `value` is that of the indices 0 .. n-1.
Interval bootstrap(int64_t n, uint64_t seed, const std::function<double(std::span<const int64_t>)>& statistic,
                   int resamples = 2000);

/// Indices 0 .. n-1 in an order drawn from the seed.
std::vector<int64_t> shuffled(int64_t n, uint64_t seed);

}  // namespace wattle
