#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <wattle/statistics.h>

namespace wattle::inline statistics {

/// How many times as much one thing is as another. `p` is two-sided, of the hypothesis that they are equal;
/// not a number where fewer than three repetitions tell nothing.
struct Ratio : Interval {
  double p = 1;

  /// Under several comparisons give `p` to holm() first and compare what it returns.
  bool distinguishable() const { return p < 0.05; }
};

/// Ratio of the geometric means of two independent sets of values: Welch's t test (1947) on logarithms. Not a
/// number where a value is not positive.
Ratio ratio_of(std::span<const double> a, std::span<const double> b);

/// Geometric mean of a[i] / b[i], measured in the same rounds: paired t test on logarithms. A drift that both
/// of a round share cancels. Error when they differ in number.
Ratio paired_ratio_of(std::span<const double> a, std::span<const double> b);

/// Two-sided p of the paired t test of a[i] - b[i]; 1 where all are equal. Error as above.
double paired_t_test(std::span<const double> a, std::span<const double> b);

/// McNemar's exact test: of the rows that one of two got right and the other wrong, `only_a` were a's. The
/// two-sided p of their being equally good.
double mcnemar_test(int64_t only_a, int64_t only_b);

/// Holm's correction (1979) of several p values, in their order: each may be held against the level that one
/// alone would be, and the probability of any false verdict stays below it. Values that are not numbers stay
/// and do not count.
std::vector<double> holm(std::span<const double> p);

}  // namespace wattle::inline statistics
