#pragma once

#include <filesystem>

#include "pull/catalogue.h"

namespace wattle::inline pull {

/// Turns the table that was pulled into `folder` into train.jsonl, eval.jsonl (`id`, `text`, `label`,
/// `label_name`) and meta.json (`labels`), the form of every labelled data set here, and removes the table.
void apply_recipe(const CatalogueEntry& entry, const std::filesystem::path& folder);

}  // namespace wattle::inline pull
