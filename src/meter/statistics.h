#pragma once

#include <span>

namespace wattle {

/// Mean of independent runs with its 95 % interval by Student's t; one run has no interval (half-width NaN).
struct Mean {
  double value = 0;
  double half = 0;
  int n = 0;
};
Mean mean_of(std::span<const double> values);

/// Quantile 0.975 of Student's t with `degrees` of freedom (fractions allowed).
double student_t(double degrees);

/// Ratio of two means with its 95 % interval, by the delta method on logarithms and Welch's degrees of
/// freedom. `low` and `high` are NaN when either side has one run.
struct Ratio {
  double value = 1, low = 0, high = 0;
  bool distinguishable() const { return low > 1 || high < 1; }
};
Ratio ratio_of(std::span<const double> a, std::span<const double> b);

}  // namespace wattle
