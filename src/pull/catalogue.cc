#include "pull/catalogue.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include <fmt/ranges.h>
#include <wattle/error.h>
#include <yaml-cpp/yaml.h>

#include "pull/repository.h"

namespace wattle::inline pull {

std::string_view embedded_catalogue_yaml();

namespace {

std::vector<std::string> strings(const YAML::Node& node) {
  return node ? node.as<std::vector<std::string>>() : std::vector<std::string>{};
}

CatalogueEntry read_entry(const std::string& name, const YAML::Node& node) {
  CatalogueEntry entry;
  entry.name = name;
  entry.about = node["about"].as<std::string>();
  entry.licence = node["licence"].as<std::string>();
  entry.path = node["path"].as<std::string>();
  entry.megabytes = node["megabytes"].as<double>();
  if (const YAML::Node sums = node["sha256"]) {
    if (sums.IsMap()) {
      entry.sha256 = sums.as<std::map<std::string, std::string>>();
    } else {
      entry.sha256[""] = sums.as<std::string>();
    }
  }
  if (const YAML::Node hub = node["hub"]) {
    entry.hub = {hub["repository"].as<std::string>(), strings(hub["files"])};
  }
  if (const YAML::Node package = node["package"]) {
    entry.package.names = strings(package["names"]);
    entry.package.debian = package["debian"].as<std::string>("");
    entry.package.member = package["member"].as<std::string>("");
    entry.package.extract = package["extract"].as<std::string>("");
    entry.package.is_archive = static_cast<bool>(package["extract"]);
  }
  entry.recipe = node["recipe"].as<std::string>("");
  return entry;
}

/// Where the catalogue's entry of that name lies; nothing when it has none of that kind.
std::optional<std::filesystem::path> resolve(const std::string& name, const std::filesystem::path& cache,
                                             bool data) {
  for (const CatalogueEntry& entry : catalogue()) {
    if (entry.name != name || entry.is_data() != data) continue;
    const std::filesystem::path path = cache / entry.path;
    if (std::filesystem::exists(path)) return path;
    fail("{}: is in the catalogue but not on this machine yet; run `wattle pull {}`", name, name);
  }
  return std::nullopt;
}

[[noreturn]] void fail_without(const std::string& name, bool data) {
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : catalogue()) {
    if (entry.is_data() == data) names.push_back(entry.name);
  }
  fail("{}: there is no such file, nor a {} of that name in the catalogue ({})", name,
       data ? "data set" : "model", fmt::join(names, ", "));
}

}  // namespace

const std::vector<CatalogueEntry>& catalogue() {
  static const std::vector<CatalogueEntry> entries = [] {
    std::vector<CatalogueEntry> read;
    for (const auto& item : YAML::Load(std::string(embedded_catalogue_yaml()))) {
      read.push_back(read_entry(item.first.as<std::string>(), item.second));
    }
    return read;
  }();
  return entries;
}

bool is_in_catalogue(const std::string& name) {
  return std::any_of(catalogue().begin(), catalogue().end(),
                     [&](const CatalogueEntry& entry) { return entry.name == name; });
}

const CatalogueEntry& catalogue_entry(const std::string& name) {
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : catalogue()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  fail("{}: is not in the catalogue, which has {}; a model of the hub is written OWNER/NAME", name,
       fmt::join(names, ", "));
}

std::filesystem::path resolve_model(const std::string& name_or_path, const ModelPlaces& places) {
  if (name_or_path.starts_with("shape:") || std::filesystem::exists(name_or_path)) return name_or_path;
  if (const auto path = resolve(name_or_path, places.cache, false)) return *path;
  if (const auto repository = repository_from_text(name_or_path))
    return cached_repository(*repository, places.hub_cache);
  fail_without(name_or_path, false);
}

std::filesystem::path resolve_data(const std::string& name_or_path, const std::filesystem::path& cache) {
  if (std::filesystem::exists(name_or_path)) return name_or_path;
  if (const auto path = resolve(name_or_path, cache, true)) return *path;
  fail_without(name_or_path, true);
}

}  // namespace wattle::inline pull
