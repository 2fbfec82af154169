#include "meter/attribution.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <tuple>

namespace wattle::inline meter {
namespace {

constexpr double kTick = 0.01;  // USER_HZ is 100 on every architecture that this program builds for

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> found;
  for (std::string word; stream >> word;) found.push_back(word);
  return found;
}

}  // namespace

ProcessTimes process_times(Machine& machine) {
  ProcessTimes times;
  std::istringstream stat(machine.read("/proc/stat").value_or(""));
  std::string line;
  std::getline(stat, line);
  const std::vector<std::string> cpu = words(line);
  // cpu user nice system idle iowait irq softirq steal
  for (const size_t i : {1, 2, 3, 6, 7}) {
    if (i < cpu.size()) times.busy_seconds += kTick * std::atof(cpu[i].c_str());
  }
  if (cpu.size() > 8) times.stolen_seconds = kTick * std::atof(cpu[8].c_str());
  for (const std::string& entry : machine.list("/proc")) {
    if (entry[0] < '0' || entry[0] > '9') continue;
    const std::string text = machine.read("/proc/" + entry + "/stat").value_or("");
    // The name stands in brackets and may hold any character.
    const size_t open = text.find('('), close = text.rfind(')');
    if (open == std::string::npos || close == std::string::npos) continue;
    const std::vector<std::string> fields = words(text.substr(close + 1));
    if (fields.size() < 20) continue;
    times.processes[std::atol(entry.c_str())] = {
        text.substr(open + 1, close - open - 1),
        kTick * (std::atof(fields[11].c_str()) + std::atof(fields[12].c_str())), std::atol(fields[1].c_str()),
        fields[0][0], kTick * (std::atof(fields[13].c_str()) + std::atof(fields[14].c_str()))};
  }
  return times;
}

std::map<long, ProcessTimes::Process> process_trees(const ProcessTimes& times, std::span<const pid_t> roots,
                                                    const std::set<pid_t>& left_out) {
  const auto belongs = [&](long pid) {
    for (size_t depth = 0; depth < times.processes.size(); ++depth) {
      if (left_out.contains(static_cast<pid_t>(pid))) return false;
      if (std::ranges::find(roots, static_cast<pid_t>(pid)) != roots.end()) return true;
      const auto process = times.processes.find(pid);
      if (process == times.processes.end()) return false;
      pid = process->second.parent;
    }
    return false;
  };
  std::map<long, ProcessTimes::Process> trees;
  for (const auto& entry : times.processes) {
    if (belongs(entry.first)) trees.insert(entry);
  }
  return trees;
}

std::optional<double> process_tree_seconds(Machine& machine, long pid) {
  const ProcessTimes times = process_times(machine);
  const auto root = times.processes.find(pid);
  if (root == times.processes.end() || root->second.state == 'Z') return std::nullopt;
  const auto root_pid = static_cast<pid_t>(pid);
  double seconds = 0;
  for (const auto& [each, process] : process_trees(times, {&root_pid, 1}))
    seconds += process.busy_seconds + process.children_seconds;
  return seconds;
}

namespace {

/// Processes that ran, with their times and cycles, greatest first.
std::vector<ProcessShare> working_processes(const ProcessTimes& begin, const ProcessTimes& end,
                                            const std::map<long, double>& cycles) {
  std::vector<ProcessShare> shares;
  double counted = 0, counted_busy = 0;
  for (const auto& [pid, process] : end.processes) {
    const auto before = begin.processes.find(pid);
    double busy = process.busy_seconds;
    // A pid that was given anew has less time than before: all of it is new.
    if (before != begin.processes.end() && before->second.busy_seconds <= busy)
      busy -= before->second.busy_seconds;
    const auto own = cycles.find(pid);
    if (own != cycles.end()) counted += own->second, counted_busy += busy;
    if (busy > 0 || (own != cycles.end() && own->second > 0))
      shares.push_back({pid, process.name, busy, own != cycles.end() ? own->second : -1, {}});
  }
  const double usual = counted_busy > 0 ? counted / counted_busy : 0;
  for (ProcessShare& share : shares) {
    if (usual == 0) share.cycles = 0;
    if (share.cycles < 0) share.cycles = usual * share.busy_seconds;
  }
  std::sort(shares.begin(), shares.end(), [](const ProcessShare& a, const ProcessShare& b) {
    return std::tie(b.cycles, b.busy_seconds, a.pid) < std::tie(a.cycles, a.busy_seconds, b.pid);
  });
  return shares;
}

}  // namespace

std::vector<ProcessShare> attribute(const Energy& window, const ProcessTimes& begin, const ProcessTimes& end,
                                    const std::map<long, double>& cycles) {
  std::vector<ProcessShare> shares = working_processes(begin, end, cycles);
  double known = 0, all_cycles = 0;
  for (const ProcessShare& share : shares) known += share.busy_seconds, all_cycles += share.cycles;
  const double idle = std::clamp(window.idle_known ? window.idle_joules : 0.0, 0.0, window.joules);
  const double rest = std::max(0.0, end.busy_seconds - begin.busy_seconds - known);
  const double net = window.joules - idle;
  const double busy = known + rest;
  std::vector<double> weights;
  for (const ProcessShare& share : shares) {
    const double part =
        all_cycles > 0 ? share.cycles / all_cycles : share.busy_seconds / std::max(known, 1e-30);
    weights.push_back(busy > 0 ? net * known / busy * part : 0);
  }
  shares.push_back({0, "idle", 0, 0, {}});
  weights.push_back(busy > 0 ? idle : std::max(window.joules, 1e-30));
  shares.push_back({0, "rest", rest, 0, {}});
  weights.push_back(busy > 0 ? net * rest / busy : 0);
  if (window.joules <= 0) weights.assign(weights.size(), 1);
  const std::vector<Energy> parts = split(window, weights);
  for (size_t i = 0; i < shares.size(); ++i) shares[i].energy = parts[i];
  return shares;
}

}  // namespace wattle::inline meter
