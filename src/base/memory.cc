#include "base/memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

namespace wattle::inline base {
namespace {

/// The number after `key` of a file with lines "key number"; -1 where there is none.
int64_t number_after(const std::string& text, const std::string& key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key)) return std::strtoll(line.c_str() + key.size(), nullptr, 10);
  }
  return -1;
}

/// What a control group leaves; nothing where it sets no limit.
std::optional<int64_t> left_in_group(const ReadFile& read, const std::string& directory) {
  const std::string limit = read(directory + "/memory.max").value_or("max");
  const std::optional<std::string> used = read(directory + "/memory.current");
  if (limit.starts_with("max") || !used) return std::nullopt;
  const std::string counts = read(directory + "/memory.stat").value_or("");
  int64_t files = 0;
  for (const char* kind : {"inactive_file ", "active_file "})
    files += std::max<int64_t>(0, number_after(counts, kind));
  const int64_t left =
      std::strtoll(limit.c_str(), nullptr, 10) - std::strtoll(used->c_str(), nullptr, 10) + files;
  return std::max<int64_t>(0, left);
}

}  // namespace

std::optional<int64_t> available_memory(const ReadFile& read) {
  std::optional<int64_t> available;
  if (const int64_t kilobytes = number_after(read("/proc/meminfo").value_or(""), "MemAvailable:");
      kilobytes >= 0)
    available = 1024 * kilobytes;
  std::istringstream groups(read("/proc/self/cgroup").value_or(""));
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::/")) continue;  // version 2
    for (std::string path = line.substr(3);; path.resize(path.rfind('/'))) {
      if (path == "/") path.clear();
      if (const auto left = left_in_group(read, "/sys/fs/cgroup" + path))
        available = std::min(available.value_or(*left), *left);
      if (path.empty()) break;
    }
  }
  return available;
}

std::optional<int64_t> available_memory() {
  return available_memory([](const std::string& path) -> std::optional<std::string> {
    std::ifstream file(path, std::ios::binary);
    if (!file) return std::nullopt;
    return std::string((std::istreambuf_iterator<char>(file)), {});
  });
}

}  // namespace wattle::inline base
