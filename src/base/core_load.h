#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/processor_limits.h"
#include "base/threads.h"

namespace wattle::inline base {

/// Seconds of the processors that this process may use, since the machine started.
struct CoreTimes {
  double idle = 0;
  double stolen = 0;  ///< taken by the hypervisor
};

/// Of the text of /proc/stat (proc_stat(5)); all processors where `allowed` is empty. nullopt where it has no
/// line of them.
std::optional<CoreTimes> core_times(std::string_view stat, const std::vector<int>& allowed);

/// Seconds that a thread was ready to run and waited for a processor, of the text of its schedstat
/// (Documentation/scheduler/sched-stats.rst).
std::optional<double> run_queue_delay(std::string_view schedstat);

/// Seconds that a control group's threads waited because its quota was used up, of the text of its cpu.stat,
/// version 1 or 2.
std::optional<double> throttled_seconds(std::string_view cpu_stat);

/// The schedstat of the thread that makes it, which any thread may read. Nothing where the kernel shows none.
class RunQueueDelay {
 public:
  RunQueueDelay();
  ~RunQueueDelay();
  RunQueueDelay(const RunQueueDelay&) = delete;
  RunQueueDelay& operator=(const RunQueueDelay&) = delete;

  std::optional<double> seconds() const;

 private:
  int file_;
};

/// The times of this process's processors and what its quota took, by the files of the running kernel.
std::optional<CoreTimes> core_times();
std::optional<double> throttled_seconds(const ProcessorLimits& limits);

/// Seconds that threads were ready to run and had no core.
struct CoreDelay {
  double sum = 0, largest = 0;  ///< of all threads; of the one that waited longest
};

/// How many threads a team has worth having, of what the kernel says about its cores. One thread that shares
/// its core holds all others up at every barrier, so a team does without that core until it is free again.
/// Decides; reads nothing.
class TeamSize {
 public:
  /// Team of up to `most` threads, whose control group has a quota of so many processors (0: none).
  explicit TeamSize(int most, double quota = 0) : most_(most), size_(most), quota_(quota) {}

  int size() const { return size_; }
  int most() const { return most_; }
  Shrunk why() const { return why_; }

  /// In `seconds` the team's threads waited so long for cores, not counting what the quota took, and its
  /// process worked so long in all.
  void note_delay(double seconds, CoreDelay delay, double worked);

  /// In `seconds` its cores were idle and stolen for so long in all, its quota took so long from all its
  /// threads together, and its process had so much processor time. A core that is idle is taken again soon,
  /// one that is not, or of which nothing is known, is tried seldom.
  void note_cores(double seconds, std::optional<CoreTimes> times, double throttled, double process);

  /// Seconds that note_delay wants to look back: short while it is new that the team has this size.
  double delay_window() const { return since_growth_ < 0.1 ? 0.01 : 0.02; }
  /// Seconds that note_cores wants to look back.
  double core_window() const { return size_ < most_ ? 0.5 * kWindow : kWindow; }

 private:
  static constexpr double kWindow = 0.2;  ///< /proc/stat counts hundredths of a second
  static constexpr double kFirstPatience = 0.4, kLongestPatience = 6.4;

  /// Seconds of work that a team loses, against one with a thread fewer, before it gives the thread up.
  static constexpr double kMostLost = 0.008;

  void shrink(int by, Shrunk why);
  void grow(int by);

  int most_, size_;
  double quota_;
  Shrunk why_ = Shrunk::kNo;
  double patience_ = kFirstPatience;  ///< seconds after which a core is tried that is not idle
  double since_growth_ = 0, since_shrinking_ = 0;
  bool has_grown_ = false;
  double lost_ = 0;  ///< seconds of work
};

}  // namespace wattle::inline base
