#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace wattle {

/// Where pulled models lie: $WATTLE_TEST_MODELS, else the cache of `wattle pull`.
inline std::filesystem::path test_models() {
  if (const char* chosen = std::getenv("WATTLE_TEST_MODELS")) return chosen;
  if (const char* cache = std::getenv("XDG_CACHE_HOME"))
    return std::filesystem::path(cache) / "wattle/models";
  const char* home = std::getenv("HOME");
  return std::filesystem::path(home == nullptr ? "." : home) / ".cache/wattle/models";
}

/// Every .gguf file among them, in the order of their names.
inline std::vector<std::filesystem::path> test_gguf_files() {
  std::vector<std::filesystem::path> found;
  std::error_code absent;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(test_models(), absent)) {
    if (entry.path().extension() == ".gguf") found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace wattle
