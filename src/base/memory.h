#pragma once

#include <cstdint>
#include <optional>

#include "base/processor_limits.h"

namespace wattle::inline base {

/// Bytes that this process can still take without swapping: MemAvailable of /proc/meminfo, or less where a
/// control group of version 2 allows less (memory.max; its files' pages can be given back). Nothing where
/// neither is told.
std::optional<int64_t> available_memory(const ReadFile& read);
/// Of this machine, now.
std::optional<int64_t> available_memory();

}  // namespace wattle::inline base
