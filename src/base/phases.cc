#include "base/phases.h"

#include <time.h>

#include <chrono>

namespace wattle::inline base {
namespace {

double steady_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double busy_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

}  // namespace

void StretchLog::set_active(bool active) {
  active_ = active;
  stretches_.clear();
}

void StretchLog::restart() {
  if (!active_) return;
  stretches_.clear();
  begin_ = steady_seconds();
  busy_ = busy_seconds();
}

double StretchLog::end(Phase phase, const Work& work) {
  if (!active_) return 0;
  const double now = steady_seconds(), busy = busy_seconds();
  const double seconds = now - begin_;
  if (stretches_.empty() || stretches_.back().phase != phase) stretches_.push_back({phase, begin_, 0, 0, {}});
  stretches_.back().seconds += seconds;
  stretches_.back().busy_seconds += busy - busy_;
  stretches_.back().work += work;
  begin_ = now;
  busy_ = busy;
  return seconds;
}

void StretchLog::restart_single() {
  if (!active_) return;
  stretches_.clear();
  begin_ = steady_seconds();
}

double StretchLog::end_single(Phase phase, const Work& work) {
  if (!active_) return 0;
  const double seconds = steady_seconds() - begin_;
  stretches_.push_back({phase, begin_, seconds, seconds, work});
  return seconds;
}

}  // namespace wattle::inline base
