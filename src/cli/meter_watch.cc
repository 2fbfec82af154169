#include "cli/meter_watch.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <httplib.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "cli/meter_output.h"
#include "meter/attribution.h"
#include "meter/energy_json.h"
#include "meter/process_cycles.h"

namespace wattle {
namespace {

/// Ctrl-C ends the wait.
bool wait_seconds(double seconds) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!interrupted() && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(
        std::chrono::milliseconds(50), until - std::chrono::steady_clock::now()));
  }
  return !interrupted();
}

/// One round of --watch: a window, who drew it, and what watching took.
struct Round {
  Energy window;
  std::vector<ProcessShare> shares;
  bool by_cycles = false;
  double stolen_seconds = 0;
  double own_cpu_seconds = 0;
};

void print_round(const Round& round, int n_processes) {
  const Energy& window = round.window;
  fmt::print("{:8.2f} W  ({:.2f} to {:.2f}) {} by {}{}; the meter took {:.2f} % of a core\n",
             window.joules / window.seconds, window.low / window.seconds, window.high / window.seconds,
             name(window.grade), window.source,
             round.stolen_seconds > 0.01
                 ? fmt::format("; {:.2f} s were stolen by the hypervisor", round.stolen_seconds)
                 : "",
             100 * round.own_cpu_seconds / window.seconds);
  if (!window.invalid.empty()) fmt::print("          invalid window: {}\n", window.invalid);
  double below = 0;
  int shown = 0;
  for (const ProcessShare& share : round.shares) {
    if (share.pid > 0 && shown++ >= n_processes) {
      below += share.energy.joules;
      continue;
    }
    fmt::print("{:10.3f} J  {}\n", share.energy.joules,
               share.pid > 0 ? fmt::format("{} {}", share.pid, share.name) : share.name);
  }
  if (below > 0) fmt::print("{:10.3f} J  other processes\n", below);
}

nlohmann::ordered_json round_json(const Round& round) {
  nlohmann::ordered_json json = energy_json(round.window);
  json["watts"] = round.window.joules / round.window.seconds;
  json["own_cpu_seconds"] = round.own_cpu_seconds;
  json["shares_by"] = round.by_cycles ? "cycles" : "processor time";
  json["processes"] = nlohmann::ordered_json::array();
  for (const ProcessShare& share : round.shares) {
    json["processes"].push_back({{"pid", share.pid},
                                 {"name", share.name},
                                 {"busy_seconds", share.busy_seconds},
                                 {"cycles", share.cycles},
                                 {"joules", share.energy.joules},
                                 {"grade", name(share.energy.grade)}});
  }
  return json;
}

}  // namespace

void watch_machine(MachineMeter& meter, const WatchOptions& options) {
  ProcessCycles cycles(meter.machine());
  ProcessTimes before = process_times(meter.machine());
  // Whether cycles are counted at all shows on this process, before the first round.
  ProcessTimes without_this = before;
  without_this.processes.erase(::getpid());
  cycles.since_last(without_this, before);
  bool said = false;
  double own_before = process_cpu_seconds();
  auto begin = meter.begin();
  for (int n = 0; options.rounds == 0 || n < options.rounds; ++n) {
    if (!said && !cycles.obstacle().empty()) {
      said = true;
      if (!options.quiet)
        fmt::print(stderr, "wattle: shares are by processor time, not by cycles: {}\n", cycles.obstacle());
    }
    if (!wait_seconds(options.interval)) return;
    ProcessTimes after = process_times(meter.machine());
    Round round;
    round.window = meter.end_foreign(begin, after.busy_seconds - before.busy_seconds);
    begin = meter.begin();
    const std::map<long, double> counted = cycles.since_last(before, after);
    round.shares = attribute(round.window, before, after, counted);
    round.by_cycles = !counted.empty() && round.shares.front().cycles > 0;
    round.stolen_seconds = after.stolen_seconds - before.stolen_seconds;
    const double own_after = process_cpu_seconds();
    round.own_cpu_seconds = own_after - own_before;
    own_before = own_after;
    if (options.json) {
      fmt::print("{}\n", round_json(round).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      print_round(round, options.processes);
    }
    std::fflush(stdout);
    before = std::move(after);
  }
}

void serve_metrics(MachineMeter& meter, const std::string& host, int port) {
  httplib::Server server;
  std::mutex mutex;
  Energy total;
  auto begin = meter.begin();
  ProcessTimes before = process_times(meter.machine());
  double watts = 0;
  server.Get("/metrics", [&](const httplib::Request&, httplib::Response& response) {
    const std::lock_guard lock(mutex);
    ProcessTimes after = process_times(meter.machine());
    const Energy window = meter.end_foreign(begin, after.busy_seconds - before.busy_seconds);
    begin = meter.begin();
    before = std::move(after);
    total = total + window;
    if (window.seconds > 0) watts = window.joules / window.seconds;
    const std::string labels = fmt::format("{{source=\"{}\",scope=\"{}\",grade=\"{}\"}}", total.source,
                                           total.scope, name(total.grade));
    response.set_content(
        fmt::format("# TYPE wattle_energy_joules counter\n# UNIT wattle_energy_joules joules\n"
                    "# HELP wattle_energy_joules Energy of the machine since the "
                    "start.\nwattle_energy_joules_total{} {:.6f}\n"
                    "# TYPE wattle_energy_low_joules gauge\n# UNIT wattle_energy_low_joules "
                    "joules\nwattle_energy_low_joules{} {:.6f}\n"
                    "# TYPE wattle_energy_high_joules gauge\n# UNIT wattle_energy_high_joules "
                    "joules\nwattle_energy_high_joules{} {:.6f}\n"
                    "# TYPE wattle_power_watts gauge\n# UNIT wattle_power_watts watts\n"
                    "# HELP wattle_power_watts Mean power since the last request.\nwattle_power_watts{} "
                    "{:.6f}\n# EOF\n",
                    labels, total.joules, labels, total.low, labels, total.high, labels, watts),
        "application/openmetrics-text; version=1.0.0; charset=utf-8");
  });
  if (!server.bind_to_port(host.c_str(), port))
    fail("--prometheus {}: the port cannot be opened on {}; choose another", port, host);
  std::thread listener([&] { server.listen_after_bind(); });
  while (wait_seconds(1)) {
  }
  server.stop();
  listener.join();
}

}  // namespace wattle
