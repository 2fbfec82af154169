#pragma once

#include <string>
#include <vector>

#include "meter/power_law.h"
#include "meter/power_tables.h"

namespace wattle::inline meter {

/// Loads below are not on the curves, and no comparison of them is checked.
inline constexpr double kLeastLoad = 0.07;

/// Two loads of one processor: by how much a law errs in the logarithm of the ratio of their watts, and that
/// logarithm by the law.
struct LoadPair {
  std::string processor;
  double log_error = 0, distance = 0;
};

/// All pairs of loads of one processor and mode, by `law`.
std::vector<LoadPair> load_pairs(const std::vector<LoadResult>& loads, const PowerLaw& law);

/// Share of the pairs whose ratio lies in its 95 % interval where the errors of two points of a curve are
/// correlated as exp(-distance / scale); scale 0: not at all.
double share_inside(const std::vector<LoadPair>& pairs, double log_half_width, double scale);

/// The greatest scale at which 95 % of the pairs of each processor, by a law without that processor, lie in
/// their intervals; 0 where there is none. Each processor by itself, because a curve that is unlike the
/// others is what a comparison on another machine must stand.
double fit_curve_scale(const std::vector<LoadResult>& loads);

/// How a scale fares on processors that had no part in it, nor in the law and its half-width.
struct CurveScaleCheck {
  int pairs = 0, processors = 0;
  double fitted = 0;                        ///< share inside on the curves that the scale was fitted to
  double left_out = 0, least_left_out = 0;  ///< on those left out: of all, of the worst processor
  double median_error = 0;                  ///< of |ratio / published - 1| of those left out
};
CurveScaleCheck check_curve_scale(const std::vector<LoadResult>& loads);

}  // namespace wattle::inline meter
