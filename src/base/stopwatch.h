#pragma once

#include <chrono>

namespace wattle::inline base {

/// Seconds on the steady clock since it was made or last lapped.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  /// The seconds so far, and begins again.
  double lap() {
    const double passed = seconds();
    begin_ = Clock::now();
    return passed;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace wattle::inline base
