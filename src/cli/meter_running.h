#pragma once

#include <string>

#include "meter/machine_meter.h"

namespace wattle {

struct RunningOptions {
  long pid = 0;        ///< of a process that runs already; or
  std::string cgroup;  ///< a control group, by its path below the machine's /sys/fs/cgroup or as a whole
  double seconds = 0;  ///< of the window; 0: until the process ends, or Ctrl-C
  std::string json;    ///< file, "-", or empty: a text
};

/// Joules of what runs already: the machine's window, and the part of it that belongs to the process with its
/// descendants, or to the control group, by processor time. Error when there is none.
void measure_running(MachineMeter& meter, const RunningOptions& options);

}  // namespace wattle
