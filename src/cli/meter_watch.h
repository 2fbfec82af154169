#pragma once

#include "meter/machine_meter.h"

namespace wattle {

/// Prints power of the whole machine and the processes that take most of it, every `interval` seconds until
/// Ctrl-C or until `rounds` were printed (0: no end). With `json`, one object a line.
void watch_machine(MachineMeter& meter, double interval, int rounds, int n_processes, bool json);

/// Serves /metrics in the OpenMetrics text format 1.0 until Ctrl-C; power and energy of the whole machine
/// since start.
void serve_metrics(MachineMeter& meter, const std::string& host, int port);

}  // namespace wattle
