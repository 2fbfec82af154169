#include "study/conditions.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/cpu.h"
#include "base/threads.h"

namespace wattle::inline study {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCpu = "/sys/devices/system/cpu/";

std::optional<std::string> first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!file || !std::getline(file, line)) return std::nullopt;
  return line;
}

/// Times that the processor slowed itself down because of heat or power, over all cores.
int64_t count_throttles() {
  int64_t count = 0;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(kCpu, none)) {
    if (const auto line = first_line(entry.path() / "thermal_throttle/core_throttle_count")) {
      count += std::strtoll(line->c_str(), nullptr, 10);
    }
  }
  return count;
}

std::optional<double> hottest_celsius() {
  std::optional<double> hottest;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/sys/class/thermal", none)) {
    if (const auto line = first_line(entry.path() / "temp")) {
      const double celsius = std::strtod(line->c_str(), nullptr) / 1000;
      hottest = std::max(hottest.value_or(celsius), celsius);
    }
  }
  return hottest;
}

std::optional<std::string> turbo() {
  if (const auto boost = first_line(std::string(kCpu) + "cpufreq/boost")) return *boost == "1" ? "on" : "off";
  if (const auto none = first_line(std::string(kCpu) + "intel_pstate/no_turbo"))
    return *none == "0" ? "on" : "off";
  return std::nullopt;
}

}  // namespace

Conditions::Times Conditions::read_times() const {
  Times times;
  std::istringstream fields(first_line("/proc/stat").value_or(""));
  std::string name;
  fields >> name;
  const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  double value = 0;
  // user nice system idle iowait irq softirq steal; guest times are already in user (proc(5)).
  for (int i = 0; i < 8 && fields >> value; ++i) {
    times.total += value * tick;
    if (i == 3 || i == 4) times.idle += value * tick;
    if (i == 7) times.steal = value * tick;
  }
  if (own_seconds_) {
    times.own = own_seconds_();
    return times;
  }
  timespec own{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
  times.own = static_cast<double>(own.tv_sec) + 1e-9 * static_cast<double>(own.tv_nsec);
  return times;
}

Conditions::Conditions(std::function<double()> own_seconds)
    : own_seconds_(std::move(own_seconds)), begin_(read_times()), throttles_(count_throttles()) {}

Conditions::Report Conditions::since_begin() const {
  const Times now = read_times();
  Report report;
  nlohmann::ordered_json& json = report.json;
  const double total = now.total - begin_.total;
  if (total > 0) {
    const double steal = (now.steal - begin_.steal) / total;
    const double busy = (total - (now.idle - begin_.idle) - (now.steal - begin_.steal)) / total;
    const double others = std::max(0.0, busy - (now.own - begin_.own) / total);
    json["steal"] = steal;
    json["others"] = others;
    report.disturbance = steal + others;
  }
  if (const auto line = first_line("/proc/loadavg"))
    json["load_average"] = std::strtod(line->c_str(), nullptr);
  if (const auto governor = first_line(std::string(kCpu) + "cpu0/cpufreq/scaling_governor"))
    json["governor"] = *governor;
  if (const auto state = turbo()) json["turbo"] = *state;
  if (const auto smt = first_line(std::string(kCpu) + "smt/active")) json["smt"] = *smt == "1" ? "on" : "off";
  if (const auto celsius = hottest_celsius()) json["celsius"] = *celsius;
  json["throttled"] = count_throttles() - throttles_;
  return report;
}

nlohmann::ordered_json describe_machine() {
  nlohmann::ordered_json machine{{"processor", cpu_name()},
                                 {"threads", threads()},
                                 {"physical_cores", physical_cores()},
                                 {"instruction_set", std::string(name(active_isa()))}};
  utsname system{};
  if (uname(&system) == 0) machine["system"] = fmt::format("{} {}", system.sysname, system.release);
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    if (line.rfind("flags", 0) != 0) continue;
    machine["virtual"] = line.find(" hypervisor") != std::string::npos;
    break;
  }
  const nlohmann::ordered_json state = Conditions().since_begin().json;
  for (const auto& [key, value] : state.items()) {
    if (key == "governor" || key == "turbo" || key == "smt") machine[key] = value;
  }
  return machine;
}

int64_t peak_memory_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::strtoll(line.c_str() + 6, nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace wattle::inline study
