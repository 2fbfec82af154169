#include "cli/paths.h"

#include <cstdlib>
#include <vector>

#include <wattle/error.h>

#include "cli/hub_settings.h"
#include "pull/catalogue.h"
#include "pull/row_recipe.h"

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

std::filesystem::path data_path(const std::string& name_or_path, const std::string& root) {
  if (!names_recipe(name_or_path)) return resolve_data(name_or_path, cache_directory());
  std::vector<std::filesystem::path> roots;
  if (!root.empty()) roots.emplace_back(root);
  if (const char* named = std::getenv("WATTLE_DATA"); named != nullptr && *named != '\0')
    roots.emplace_back(named);
  roots.emplace_back("../shared/data");
  roots.push_back(cache_directory() / "data");
  return resolve_recipe(name_or_path, roots, cache_directory());
}

std::string model_path(const std::string& name_or_path) {
  return resolve_model(name_or_path, {cache_directory(), hub_cache_directory()}).string();
}

}  // namespace wattle
