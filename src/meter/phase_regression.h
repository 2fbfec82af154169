#pragma once

#include <array>
#include <cstddef>

#include "base/phases.h"

namespace wattle::inline meter {

/// How much more or less than the power model says the phases of a program draw, learnt from the joules that
/// counters showed for whole windows: windows in which the phases had other proportions tell them apart.
///
/// Bayesian linear regression: window joules = sum over phases of (factor x expected joules), each window
/// with its own standard error; a factor is held to lie within a factor of two of the mean of all. Windows
/// that are alike thus leave the model's proportions as they are. (Bishop 2006, "Pattern recognition and
/// machine learning", 3.3.)
class PhaseRegression {
 public:
  /// The phases in the order of kPhases, then the time between them.
  static constexpr size_t kParts = kPhases.size() + 1;
  using Parts = std::array<double, kParts>;

  /// A window that took `joules` (standard error `error`), of which the model expected `expected` by part.
  void add(const Parts& expected, double joules, double error);
  /// Factors on the model's joules; all 1 before the first window.
  Parts factors() const;

 private:
  std::array<Parts, kParts> squares_{};  ///< sum of x x^T / error^2
  Parts products_{};                     ///< sum of x y / error^2
  double expected_ = 0, joules_ = 0;
};

}  // namespace wattle::inline meter
