#pragma once

#include "meter/machine_meter.h"

namespace wattle {

struct WatchOptions {
  double interval = 1;  ///< seconds of a round
  int rounds = 0;       ///< 0: until Ctrl-C
  int processes = 10;   ///< that are listed
  bool json = false;    ///< one object a line
  bool quiet = false;   ///< no line about what shares are not by
};
/// Prints power of the whole machine and the processes that take most of it, round after round. The first one
/// shares by processor time, because cycles are counted for a process once it is seen to work.
void watch_machine(MachineMeter& meter, const WatchOptions& options);

/// Serves /metrics in the OpenMetrics text format 1.0 until Ctrl-C; power and energy of the whole machine
/// since start.
void serve_metrics(MachineMeter& meter, const std::string& host, int port);

}  // namespace wattle
