// The catalogue's way over the Hugging Face hub: its files by name, checked by the catalogue's own sums.
#include <wattle/error.h>

#include "pull/http.h"
#include "pull/ways.h"

namespace wattle::inline pull {

namespace fs = std::filesystem;

void pull_from_hub(const CatalogueEntry& entry, const PullOptions& options, const fs::path& downloads,
                   const fs::path& target) {
  const bool folder = !entry.sha256.contains("");
  const Http http({.token = options.token, .first_wait = options.first_wait});
  for (const std::string& file : entry.hub.files) {
    const fs::path partial = downloads / ("hub-" + fs::path(file).filename().string() +
                                          std::to_string(std::hash<std::string>{}(file) % 10000));
    const HttpAnswer answer =
        http.download(fmt::format("{}/{}/resolve/main/{}", options.hub, entry.hub.repository, url_path(file)),
                      partial, 0, [&](size_t done, size_t total) {
                        if (options.progress) options.progress(entry.name + ": " + file, done, total);
                      });
    if (!answer.ok()) fail("{} answered {} to the request for {}", options.hub, answer.status, file);
    const fs::path place = folder ? target / file : target;
    fs::create_directories(place.parent_path());
    fs::copy_file(partial, place, fs::copy_options::overwrite_existing);
  }
}

}  // namespace wattle::inline pull
