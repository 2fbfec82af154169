#include "meter/process_cycles.h"

#include <linux/perf_event.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

namespace wattle::inline meter {

ProcessCycles::~ProcessCycles() {
  for (const auto& [pid, counters] : processes_) close(counters);
}

void ProcessCycles::close(const std::vector<Counter>& counters) {
  for (const Counter& counter : counters) machine_.close_event(counter.handle);
}

/// Shares of which some are by cycles and some by time could not be compared: one refusal ends it for all.
void ProcessCycles::give_up(int error) {
  for (const auto& [pid, counters] : processes_) close(counters);
  processes_.clear();
  switch (error) {
    case EACCES:
    case EPERM:
      obstacle_ =
          "the kernel shows this user no cycles of others' processes; for cycles: sudo setcap cap_perfmon+ep "
          "on the program, or run it with sudo";
      return;
    case EMFILE:
    case ENFILE:
      obstacle_ = "there are more threads at work than files may be open; for cycles: ulimit -n 65536";
      return;
    default:
      obstacle_ = fmt::format("perf counts no cycles on this machine ({})", std::strerror(error));
  }
}

void ProcessCycles::open(long pid) {
  std::vector<std::string> threads = machine_.list(fmt::format("/proc/{}/task", pid));
  if (threads.empty()) threads = {std::to_string(pid)};
  std::vector<Counter>& counters = processes_[pid];
  for (const std::string& thread : threads) {
    const int handle =
        machine_.open_thread_event(PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES, std::atol(thread.c_str()));
    if (handle == -ESRCH) continue;  // it ended in between
    if (handle < 0) return give_up(-handle);
    counters.push_back({handle, machine_.read_event(handle).value_or(0)});
  }
  if (counters.empty()) processes_.erase(pid);
}

std::map<long, double> ProcessCycles::since_last(const ProcessTimes& begin, const ProcessTimes& end) {
  std::map<long, double> cycles;
  if (!obstacle_.empty()) return cycles;
  for (auto process = processes_.begin(); process != processes_.end();) {
    double sum = 0;
    for (Counter& counter : process->second) {
      const uint64_t count = machine_.read_event(counter.handle).value_or(counter.last);
      sum += static_cast<double>(count - counter.last);
      counter.last = count;
    }
    const auto now = end.processes.find(process->first), before = begin.processes.find(process->first);
    // A pid with less time than before was given to another process.
    const bool same = now != end.processes.end() && (before == begin.processes.end() ||
                                                     before->second.busy_seconds <= now->second.busy_seconds);
    if (same) {
      cycles[process->first] = sum;
      ++process;
    } else {
      close(process->second);
      process = processes_.erase(process);
    }
  }
  for (const auto& [pid, process] : end.processes) {
    const auto before = begin.processes.find(pid);
    const bool worked =
        before == begin.processes.end() || before->second.busy_seconds != process.busy_seconds;
    if (!worked || processes_.count(pid) > 0) continue;
    open(pid);
    if (!obstacle_.empty()) return {};
  }
  return cycles;
}

}  // namespace wattle::inline meter
