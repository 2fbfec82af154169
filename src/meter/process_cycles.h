#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "meter/attribution.h"
#include "meter/machine.h"

namespace wattle::inline meter {

/// Processor cycles of processes by perf events, which tell more of their energy than processor time does: a
/// cycle at half the clock costs less, and a short burst is seen that the 10 ms of /proc hide. Events are
/// opened for a process once it is seen to work.
class ProcessCycles {
 public:
  explicit ProcessCycles(Machine& machine) : machine_(machine) {}
  ~ProcessCycles();
  ProcessCycles(const ProcessCycles&) = delete;
  ProcessCycles& operator=(const ProcessCycles&) = delete;

  /// Cycles by pid since the call before. A process that is not in it began to be counted only now. Empty,
  /// from then on, once there is an obstacle.
  std::map<long, double> since_last(const ProcessTimes& begin, const ProcessTimes& end);
  /// Why there are no cycles, with the command that would bring them where there is one; empty when there
  /// are.
  const std::string& obstacle() const { return obstacle_; }

 private:
  struct Counter {
    int handle;
    uint64_t last;
  };

  void open(long pid);
  void close(const std::vector<Counter>& counters);
  void give_up(int error);

  Machine& machine_;
  std::map<long, std::vector<Counter>> processes_;
  std::string obstacle_;
};

}  // namespace wattle::inline meter
