#include "meter/machine_state.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "meter/attribution.h"

namespace wattle::inline meter {

MachineState machine_state(Machine& machine) {
  const std::string cpus = "/sys/devices/system/cpu";
  MachineState state;
  state.processor = describe_processor(machine);
  state.governor = machine.read(cpus + "/cpu0/cpufreq/scaling_governor").value_or("");
  if (const auto off = machine.read_number(cpus + "/intel_pstate/no_turbo")) {
    state.turbo = *off == 0;
  } else if (const auto boost = machine.read_number(cpus + "/cpufreq/boost")) {
    state.turbo = *boost != 0;
  }
  if (const auto active = machine.read_number(cpus + "/smt/active")) state.smt = *active != 0;
  double kilohertz = 0, throttled = 0;
  int clocks = 0;
  bool throttles = false;
  for (const std::string& entry : machine.list(cpus)) {
    if (entry.rfind("cpu", 0) != 0 || entry.size() < 4 || !std::isdigit(static_cast<unsigned char>(entry[3])))
      continue;
    if (const auto clock = machine.read_number(cpus + "/" + entry + "/cpufreq/scaling_cur_freq"))
      kilohertz += *clock, ++clocks;
    if (const auto count =
            machine.read_number(cpus + "/" + entry + "/thermal_throttle/core_throttle_count")) {
      throttled += *count;
      throttles = true;
    }
  }
  if (clocks > 0) state.megahertz = kilohertz / clocks / 1000;
  if (throttles) state.throttle_events = throttled;
  for (const std::string& zone : machine.list("/sys/class/thermal")) {
    const auto millidegrees = machine.read_number("/sys/class/thermal/" + zone + "/temp");
    if (millidegrees) state.degrees = std::max(state.degrees.value_or(-273), *millidegrees / 1000);
  }
  const ProcessTimes times = process_times(machine);
  state.stolen_seconds = times.stolen_seconds;
  state.busy_seconds = times.busy_seconds;
  if (const auto load = machine.read("/proc/loadavg")) state.load = std::atof(load->c_str());
  return state;
}

}  // namespace wattle::inline meter
