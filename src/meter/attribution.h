#pragma once

#include <sys/types.h>

#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include <wattle/meter.h>

#include "meter/machine.h"

namespace wattle::inline meter {

/// Processor time by process and of the whole machine, at one moment, from /proc.
struct ProcessTimes {
  struct Process {
    std::string name;
    double busy_seconds = 0;
    long parent = 0;
    char state = 'R';             ///< 'Z': has ended
    double children_seconds = 0;  ///< of children that ended and were waited for
  };
  std::map<long, Process> processes;  ///< by pid
  double busy_seconds = 0;  ///< all processors: user, nice, system, interrupts; not what a hypervisor stole
  double stolen_seconds = 0;
};
ProcessTimes process_times(Machine& machine);
/// Those of `times` that belong to `roots`, which do themselves, or descend from them; without those left out
/// and what descends from these.
std::map<long, ProcessTimes::Process> process_trees(const ProcessTimes& times, std::span<const pid_t> roots,
                                                    const std::set<pid_t>& left_out = {});
/// Processor seconds of a process and its descendants, with the children that they waited for; nullopt when
/// there is no such process, or it has ended.
std::optional<double> process_tree_seconds(Machine& machine, long pid);

/// What one process takes of a window's net energy (above idle).
struct ProcessShare {
  long pid = 0;
  std::string name;
  double busy_seconds = 0;
  double cycles = 0;  ///< counted, or the usual number of them in its processor time; 0: shared by time
  Energy energy;
};
/// Shares of all processes that ran between the two moments, greatest first, then two rows without a pid:
/// "idle", and "rest" (processes that ended, the kernel). Their joules add up to the window's exactly. The
/// net energy is divided between the processes and the rest by processor time; among the processes by
/// `cycles` where there are any, else by processor time too. A process without cycles has the others' mean
/// for its time.
std::vector<ProcessShare> attribute(const Energy& window, const ProcessTimes& begin, const ProcessTimes& end,
                                    const std::map<long, double>& cycles = {});

}  // namespace wattle::inline meter
