#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace wattle::inline base {

/// What this process may take of the machine's processors.
struct ProcessorLimits {
  std::vector<int> allowed;  ///< by affinity and the control group's cpuset; empty: not told
  double quota = 0;          ///< processors' worth of time by the control group's cpu.max; 0: no limit
  std::string quota_file;    ///< that says so

  /// Threads that can work at once, of `all` that the machine has; a started processor counts.
  int usable(int all) const;
};

/// Reads a small file; nullopt when it cannot be read.
using ReadFile = std::function<std::optional<std::string>(const std::string& path)>;

/// From /proc/self/status, /proc/self/cgroup, /proc/self/mountinfo and the files of the control groups,
/// version 1 and 2, of this process and all groups above it (Linux Documentation/admin-guide/cgroup-v2.rst,
/// cgroup-v1).
ProcessorLimits processor_limits(const ReadFile& read);
/// Those of this process.
const ProcessorLimits& processor_limits();

}  // namespace wattle::inline base
