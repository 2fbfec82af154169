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

void print_round(const Energy& window, const std::vector<ProcessShare>& shares, int n_processes,
                 double stolen) {
  fmt::print("{:8.2f} W  ({:.2f} to {:.2f}) {} by {}{}\n", window.joules / window.seconds,
             window.low / window.seconds, window.high / window.seconds, name(window.grade), window.source,
             stolen > 0.01 ? fmt::format("; {:.2f} s were stolen by the hypervisor", stolen) : "");
  if (!window.invalid.empty()) fmt::print("          invalid window: {}\n", window.invalid);
  double below = 0;
  int shown = 0;
  for (const ProcessShare& share : shares) {
    if (share.pid > 0 && shown++ >= n_processes) {
      below += share.energy.joules;
      continue;
    }
    fmt::print("{:10.3f} J  {}\n", share.energy.joules,
               share.pid > 0 ? fmt::format("{} {}", share.pid, share.name) : share.name);
  }
  if (below > 0) fmt::print("{:10.3f} J  other processes\n", below);
}

nlohmann::ordered_json round_json(const Energy& window, const std::vector<ProcessShare>& shares) {
  nlohmann::ordered_json json = to_json(window);
  json["watts"] = window.joules / window.seconds;
  json["processes"] = nlohmann::ordered_json::array();
  for (const ProcessShare& share : shares) {
    json["processes"].push_back({{"pid", share.pid},
                                 {"name", share.name},
                                 {"busy_seconds", share.busy_seconds},
                                 {"joules", share.energy.joules},
                                 {"grade", name(share.energy.grade)}});
  }
  return json;
}

}  // namespace

void watch_machine(MachineMeter& meter, double interval, int rounds, int n_processes, bool json) {
  ProcessTimes before = process_times(meter.machine());
  auto begin = meter.begin();
  for (int round = 0; rounds == 0 || round < rounds; ++round) {
    if (!wait_seconds(interval)) return;
    ProcessTimes after = process_times(meter.machine());
    const Energy window = meter.end_foreign(begin, after.busy_seconds - before.busy_seconds);
    begin = meter.begin();
    const std::vector<ProcessShare> shares = attribute(window, before, after);
    if (json) {
      fmt::print("{}\n",
                 round_json(window, shares).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    } else {
      print_round(window, shares, n_processes, after.stolen_seconds - before.stolen_seconds);
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
