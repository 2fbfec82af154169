#include "cli/paths.h"

#include <cstdlib>

#include <wattle/error.h>

#include "cli/hub_settings.h"
#include "pull/catalogue.h"

namespace wattle {

std::filesystem::path cache_directory() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    return std::filesystem::path(cache) / "wattle";
  }
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') {
    return std::filesystem::path(home) / ".cache" / "wattle";
  }
  fail("neither XDG_CACHE_HOME nor HOME is set; set one to say where models are kept");
}

std::string model_path(const std::string& name_or_path) {
  return resolve_model(name_or_path, {cache_directory(), hub_cache_directory()}).string();
}

}  // namespace wattle
