#include "study/process_tree.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <time.h>

#include "meter/attribution.h"
#include "meter/helper_process.h"
#include "meter/machine.h"

namespace wattle::inline study {
namespace {

/// /proc/PID/stat counts in steps of 10 ms; the clock of a process in nanoseconds.
double seconds_of_process(pid_t pid, double otherwise) {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) != 0) return otherwise;
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// A figure in kB of one of a process's files ("VmHWM:  1234 kB"), in bytes; 0 where there is none.
int64_t bytes_in(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return std::strtoll(line.c_str() + key.size(), nullptr, 10) * 1024;
  }
  return 0;
}

}  // namespace

ProcessTree process_tree(std::span<const pid_t> roots) {
  const auto machine = open_machine("/");
  ProcessTree tree;
  for (const auto& [pid, process] : process_trees(process_times(*machine), roots, running_helpers())) {
    if (process.state == 'Z' || process.state == 'X') continue;
    tree.pids.push_back(static_cast<pid_t>(pid));
    tree.busy_seconds +=
        seconds_of_process(static_cast<pid_t>(pid), process.busy_seconds) + process.children_seconds;
  }
  return tree;
}

int64_t peak_memory_bytes(std::span<const pid_t> pids) {
  int64_t sum = 0;
  for (const pid_t pid : pids) {
    const std::string folder = fmt::format("/proc/{}/", pid);
    const int64_t peak = bytes_in(folder + "status", "VmHWM:"), now = bytes_in(folder + "status", "VmRSS:");
    const int64_t share = bytes_in(folder + "smaps_rollup", "Pss:");
    sum += (share > 0 ? share : now) + std::max<int64_t>(0, peak - now);
  }
  return sum;
}

void kill_tree(pid_t root) {
  const std::vector<pid_t> pids = process_tree({&root, 1}).pids;
  kill(root, SIGKILL);
  for (const pid_t pid : pids) kill(pid, SIGKILL);
}

}  // namespace wattle::inline study
