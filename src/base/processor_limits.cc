#include "base/processor_limits.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

namespace wattle::inline base {
namespace {

constexpr int kMostProcessors = 1 << 16;

/// "0-3,8" as numbers; what is no list is none.
std::set<int> parse_list(const std::string& text) {
  std::set<int> numbers;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    char* end = nullptr;
    const long first = std::strtol(part.c_str(), &end, 10);
    if (end == part.c_str()) continue;
    const long last = *end == '-' ? std::strtol(end + 1, nullptr, 10) : first;
    for (long number = std::max(0L, first); number <= last && number < kMostProcessors; ++number)
      numbers.insert(static_cast<int>(number));
  }
  return numbers;
}

std::set<int> affinity(const ReadFile& read) {
  constexpr const char* kKey = "Cpus_allowed_list:";
  std::istringstream lines(read("/proc/self/status").value_or(""));
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(kKey, 0) != 0) continue;
    const size_t digits = line.find_first_of("0123456789");
    return digits == std::string::npos ? std::set<int>{} : parse_list(line.substr(digits));
  }
  return {};
}

/// A control group of this process: its directory, and that of the hierarchy's top as far as it is seen here.
struct Group {
  std::string directory, top;
  bool unified = false;
  std::set<std::string> controllers;  ///< of version 1
};

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

/// Where the hierarchy of a line of /proc/self/cgroup is mounted, and which of its directories is shown
/// there.
bool find_mount(const std::string& mountinfo, const Group& group, std::string& root, std::string& point) {
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    const std::vector<std::string> fields = split(line.substr(0, dash), ' ');
    const std::vector<std::string> kind = split(line.substr(dash + 3), ' ');
    if (fields.size() < 5 || kind.size() < 3) continue;
    if (kind[0] != (group.unified ? "cgroup2" : "cgroup")) continue;
    const std::vector<std::string> options = split(kind[2], ',');
    const bool ours =
        group.unified || std::any_of(options.begin(), options.end(), [&](const std::string& option) {
          return group.controllers.count(option) > 0;
        });
    if (!ours) continue;
    root = fields[3], point = fields[4];
    return true;
  }
  return false;
}

std::vector<Group> groups_of(const ReadFile& read) {
  const std::string mountinfo = read("/proc/self/mountinfo").value_or("");
  std::vector<Group> groups;
  std::istringstream lines(read("/proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(lines, line);) {  // "0::/a/b", "4:cpu,cpuacct:/docker/1234"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    Group group;
    const std::string names = line.substr(first + 1, second - first - 1);
    std::string path = line.substr(second + 1), root;
    group.unified = names.empty();
    for (const std::string& name : split(names, ',')) group.controllers.insert(name);
    if (!find_mount(mountinfo, group, root, group.top)) continue;
    // A container may see its own group as the top, under the path that the host has for it.
    if (root != "/" && path.rfind(root, 0) == 0)
      path = path.substr(root.size());
    else if (root != "/")
      path.clear();
    while (!path.empty() && path.back() == '/') path.pop_back();
    if (path.find("..") != std::string::npos) path.clear();  // outside of what is seen here
    group.directory = group.top + path;
    groups.push_back(group);
  }
  return groups;
}

/// Processors' worth of time of one group, 0 where it has no limit, and the file that says so.
std::pair<double, std::string> quota_of(const ReadFile& read, const std::string& directory, bool unified) {
  const std::string file = directory + (unified ? "/cpu.max" : "/cpu.cfs_quota_us");
  const std::optional<std::string> text = read(file);
  if (!text) return {0, ""};
  char* end = nullptr;
  const double quota = std::strtod(text->c_str(), &end);
  const double period = unified ? std::strtod(end, nullptr)
                                : std::atof(read(directory + "/cpu.cfs_period_us").value_or("").c_str());
  if (end == text->c_str() || !(quota > 0) || !(period > 0)) return {0, ""};  // "max", -1
  return {quota / period, file};
}

void keep_common(std::set<int>& allowed, const std::set<int>& others) {
  if (others.empty()) return;
  if (allowed.empty()) allowed = others;
  std::set<int> common;
  std::set_intersection(allowed.begin(), allowed.end(), others.begin(), others.end(),
                        std::inserter(common, common.begin()));
  if (!common.empty()) allowed = common;
}

}  // namespace

int ProcessorLimits::usable(int all) const {
  int threads = allowed.empty() ? all : std::min(all, static_cast<int>(allowed.size()));
  if (quota > 0) threads = std::min(threads, static_cast<int>(std::ceil(quota - 1e-9)));
  return std::max(1, threads);
}

ProcessorLimits processor_limits(const ReadFile& read) {
  ProcessorLimits limits;
  std::set<int> allowed = affinity(read);
  for (const Group& group : groups_of(read)) {
    const bool cpuset = group.unified || group.controllers.count("cpuset") > 0;
    for (const char* file : {"/cpuset.cpus.effective", "/cpuset.effective_cpus", "/cpuset.cpus"}) {
      if (!cpuset) break;
      const std::set<int> processors = parse_list(read(group.directory + file).value_or(""));
      keep_common(allowed, processors);
      if (!processors.empty()) break;
    }
    if (!group.unified && group.controllers.count("cpu") == 0) continue;
    for (std::string directory = group.directory; directory.size() >= group.top.size();
         directory.resize(directory.rfind('/'))) {
      const auto [quota, file] = quota_of(read, directory, group.unified);
      if (quota > 0 && (limits.quota == 0 || quota < limits.quota))
        limits.quota = quota, limits.quota_file = file;
      if (directory.rfind('/') == std::string::npos) break;
    }
  }
  limits.allowed.assign(allowed.begin(), allowed.end());
  return limits;
}

const ProcessorLimits& processor_limits() {
  static const ProcessorLimits limits =
      processor_limits([](const std::string& path) -> std::optional<std::string> {
        std::ifstream file(path, std::ios::binary);
        if (!file) return std::nullopt;
        return std::string((std::istreambuf_iterator<char>(file)), {});
      });
  return limits;
}

}  // namespace wattle::inline base
