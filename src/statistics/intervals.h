#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include <wattle/statistics.h>

namespace wattle::inline statistics {

/// Fewer repetitions give no interval and no probability: two can agree by chance.
inline constexpr size_t kLeastRepetitions = 3;

/// Mean with its 95 % interval by Student's t (1908). Unbounded below kLeastRepetitions values.
Interval student_interval(std::span<const double> values);

/// Geometric mean of positive values with Student's t interval of their logarithms: right for ratios and for
/// energies, whose spread is in proportion. Unbounded below kLeastRepetitions values; Error on one that is
/// not positive.
Interval student_interval_of_logs(std::span<const double> values);

/// Wilson's score interval of `successes` of `n` at 95 % (Wilson 1927).
Interval wilson(int64_t successes, int64_t n);

/// Probability that a proportion of which `successes` of `n` were seen is at least `bar`, from Jeffreys'
/// prior (Brown, Cai and DasGupta 2001).
double probability_at_least(double bar, int64_t successes, int64_t n);

/// 95 % percentile interval (Efron 1979) of `statistic` over `resamples` draws of n indices with replacement;
/// `value` is that of the indices 0 .. n-1. Draws for which the statistic is not a number are left out; where
/// all are, there are no bounds.
Interval bootstrap(int64_t n, uint64_t seed, const std::function<double(std::span<const int64_t>)>& statistic,
                   int resamples = 2000);

}  // namespace wattle::inline statistics
