#pragma once

#include <filesystem>
#include <string>

namespace wattle {

/// Where pulled models, converted precisions and prepared data lie: $XDG_CACHE_HOME/wattle, or
/// ~/.cache/wattle.
std::filesystem::path cache_directory();

/// What every verb takes as MODEL: a path, `shape:NAME`, a name of the catalogue or OWNER/NAME of the hub
/// that was pulled. Error as resolve_model of pull/catalogue.h.
std::string model_path(const std::string& name_or_path);

/// What a plan takes as `data`: a path, a name of the catalogue, or a recipe (pull/row_recipe.h) whose rows
/// lie below `root` or $WATTLE_DATA, in ../shared/data, or in `data` of the cache.
std::filesystem::path data_path(const std::string& name_or_path, const std::string& root = "");

}  // namespace wattle
