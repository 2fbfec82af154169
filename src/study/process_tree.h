#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <sys/types.h>

namespace wattle::inline study {

/// Processes and all their descendants that run now.
struct ProcessTree {
  std::vector<pid_t> pids;
  /// Processor time of all of them until now, and of the children that they waited for.
  double busy_seconds = 0;
};
/// Below `roots`, which belong to it. The meter's helpers do not.
ProcessTree process_tree(std::span<const pid_t> roots);

/// Most memory that the processes held, as far as that is known: of each its share of the memory it holds now
/// (PSS, else RSS), and what it once held beyond that.
int64_t peak_memory_bytes(std::span<const pid_t> pids);

/// Ends a process and all its descendants at once.
void kill_tree(pid_t root);

}  // namespace wattle::inline study
