#pragma once

#include <filesystem>

namespace wattle {

/// Where pulled models, converted precisions and prepared data lie: $XDG_CACHE_HOME/wattle, or ~/.cache/wattle.
std::filesystem::path cache_directory();

}  // namespace wattle
