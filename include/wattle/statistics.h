#pragma once

#include <cmath>

namespace wattle::inline statistics {

/// A value with its 95 % interval. Where too little was seen for an interval the bounds are not numbers.
struct Interval {
  double value = 0, low = 0, high = 0;

  bool bounded() const { return !std::isnan(low) && !std::isnan(high); }
  double half() const { return (high - low) / 2; }
};

}  // namespace wattle::inline statistics
