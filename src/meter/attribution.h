#pragma once

#include <map>
#include <string>
#include <vector>

#include <wattle/meter.h>

#include "meter/machine.h"

namespace wattle {

/// Processor time by process and of the whole machine, at one moment, from /proc.
struct ProcessTimes {
  struct Process {
    std::string name;
    double busy_seconds = 0;
  };
  std::map<long, Process> processes;  ///< by pid
  double busy_seconds = 0;  ///< all processors: user, nice, system, interrupts; not what a hypervisor stole
  double stolen_seconds = 0;
};
ProcessTimes process_times(Machine& machine);

/// What one process takes of a window's net energy (above idle), by its share of processor time.
struct ProcessShare {
  long pid = 0;
  std::string name;
  double busy_seconds = 0;
  Energy energy;
};
/// Shares of all processes that ran between the two moments, greatest first, then two rows without a pid:
/// "idle", and "rest" (processes that ended, the kernel). Their joules add up to the window's exactly.
std::vector<ProcessShare> attribute(const Energy& window, const ProcessTimes& begin, const ProcessTimes& end);

}  // namespace wattle
