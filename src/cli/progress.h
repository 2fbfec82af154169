#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace wattle {

/// A bar on standard error that draws over itself, at most ten times a second; nothing at all where standard
/// error is not a terminal or `quiet` is set. It is wiped away when the object goes.
class ProgressBar {
 public:
  explicit ProgressBar(bool quiet);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();

  /// `step` says what is being done, `done` of `total` how far it is (any unit).
  /// The seconds that remain follow from the speed of the step so far; without `estimate` none are shown.
  void operator()(const std::string& step, size_t done, size_t total, bool estimate = true);

 private:
  bool shown_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_{}, began_{};
  std::string step_;  ///< what began then
};

}  // namespace wattle
