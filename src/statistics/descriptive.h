#pragma once

#include <span>
#include <vector>

namespace wattle::inline statistics {

/// Error on no values, as of all functions here.
double mean(std::span<const double> values);

/// Sample variance, divided by n - 1; 0 of one value.
double variance(std::span<const double> values);

/// Middle value (mean of the two middle ones).
double median(std::span<const double> values);

/// Quantile `q` in [0, 1] with linear interpolation between order statistics (Hyndman and Fan's type 7,
/// numpy's default).
double quantile(std::span<const double> values, double q);

/// Median absolute deviation from the median, unscaled.
double median_absolute_deviation(std::span<const double> values);

/// Which values lie more than 3.5 scaled deviations (1.4826 MAD) from the median (Iglewicz and Hoaglin 1993).
std::vector<bool> outliers(std::span<const double> values);

}  // namespace wattle::inline statistics
