#include "cli/meter_running.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <thread>

#include <fmt/format.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "base/output_file.h"
#include "meter/attribution.h"
#include "meter/energy_json.h"

namespace wattle {
namespace {

/// Processor seconds of a control group since its start: version 2's cpu.stat, version 1's cpuacct.usage.
std::optional<double> cgroup_seconds(Machine& machine, const std::string& group) {
  std::istringstream lines(machine.read(group + "/cpu.stat").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("usage_usec ", 0) == 0) return 1e-6 * std::atof(line.c_str() + 11);
  }
  if (const auto nanoseconds = machine.read_number(group + "/cpuacct.usage")) return 1e-9 * *nanoseconds;
  return std::nullopt;
}

std::string find_cgroup(Machine& machine, const std::string& path) {
  const std::string relative = path[0] == '/' ? path.substr(1) : path;
  for (const std::string& group : {path, "/sys/fs/cgroup/" + relative, "/sys/fs/cgroup/cpuacct/" + relative,
                                   "/sys/fs/cgroup/cpu,cpuacct/" + relative}) {
    if (group[0] == '/' && cgroup_seconds(machine, group)) return group;
  }
  fail("--cgroup {}: there is no such control group that tells its processor time; `systemd-cgls` lists them",
       path);
}

/// What is measured, and its processor time; nullopt once it has ended.
class Subject {
 public:
  Subject(Machine& machine, const RunningOptions& options) : machine_(machine), pid_(options.pid) {
    if (!options.cgroup.empty()) group_ = find_cgroup(machine, options.cgroup);
    if (group_.empty() && !seconds()) fail("--pid {}: there is no such process", pid_);
  }
  std::optional<double> seconds() {
    return group_.empty() ? process_tree_seconds(machine_, pid_) : cgroup_seconds(machine_, group_);
  }
  std::string name() const {
    return group_.empty() ? fmt::format("process {} and its descendants", pid_) : "control group " + group_;
  }

 private:
  Machine& machine_;
  long pid_;
  std::string group_;
};

struct Running {
  std::string name;
  Energy window, part;
  double busy_seconds = 0, share = 0;
  bool ended = false;
};

Running watch(MachineMeter& meter, const RunningOptions& options) {
  constexpr double kStep = 0.1;
  Machine& machine = meter.machine();
  Subject subject(machine, options);
  Running running{subject.name()};
  const double machine_before = process_times(machine).busy_seconds;
  const double before = subject.seconds().value_or(0);
  const auto begin = meter.begin();
  const double until = options.seconds > 0 ? machine.now() + options.seconds : INFINITY;
  double last = before;
  while (!interrupted() && !running.ended && machine.now() < until) {
    std::this_thread::sleep_for(
        std::chrono::duration<double>(std::clamp(until - machine.now(), 0.001, kStep)));
    const std::optional<double> now = subject.seconds();
    running.ended = !now;
    last = std::max(last, now.value_or(last));
  }
  double machine_busy = 0;
  const auto busy_of_all = [&] {
    return machine_busy = process_times(machine).busy_seconds - machine_before;
  };
  running.window = meter.end_foreign(begin, busy_of_all, Settle::kYes);
  running.busy_seconds = last - before;
  running.share = machine_busy > 0 ? std::min(1.0, running.busy_seconds / machine_busy) : 0;
  const Energy& window = running.window;
  running.part = share_of(window.idle_known ? net_of_idle(window) : window, running.share);
  return running;
}

void print(const Running& running) {
  const Energy &window = running.window, &part = running.part;
  fmt::print("{}{}\n", running.name, running.ended ? ", until its end" : "");
  if (!window.invalid.empty()) fmt::print("  INVALID  {}\n", window.invalid);
  fmt::print("  energy   {:.4g} J (95 % interval {:.4g} to {:.4g}): its part of {}\n", part.joules, part.low,
             part.high,
             window.idle_known ? "what the machine drew above idle"
                               : "all that the machine drew, because idle is not known beside it");
  fmt::print("  time     {:.4g} s, {:.4g} s of processor, {:.1f} % of all that was busy\n", window.seconds,
             running.busy_seconds, 100 * running.share);
  fmt::print("  machine  {:.4g} J ({:.4g} to {:.4g})\n", window.joules, window.low, window.high);
  fmt::print("  grade    {} by {}; scope {}\n", name(part.grade), part.source, part.scope);
}

}  // namespace

void measure_running(MachineMeter& meter, const RunningOptions& options) {
  const Running running = watch(meter, options);
  if (options.json.empty()) return print(running);
  const nlohmann::ordered_json json = {{"subject", running.name},
                                       {"energy", energy_json(running.part)},
                                       {"net_of_idle", running.window.idle_known},
                                       {"busy_seconds", running.busy_seconds},
                                       {"share", running.share},
                                       {"ended", running.ended},
                                       {"machine", energy_json(running.window)}};
  const std::string text = json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (options.json == "-") return fmt::print("{}", text);
  OutputFile file(options.json);
  file.write(text);
  file.commit();
}

}  // namespace wattle
