// Downloads by HTTP from the Hugging Face hub, continued by Range where they broke off.
#include <httplib.h>

#include <cstdio>
#include <memory>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "pull/ways.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

struct Url {
  std::string host;  ///< with scheme
  std::string path;
};

Url split(const std::string& url) {
  const size_t scheme = url.find("://");
  const size_t slash = scheme == std::string::npos ? std::string::npos : url.find('/', scheme + 3);
  if (slash == std::string::npos) fail("{}: is not a URL", url);
  return {url.substr(0, slash), url.substr(slash)};
}

/// Appends the rest of `url` to `partial`; follows redirects by hand, because they lead to other hosts and
/// the client must keep the Range header there.
void download(const std::string& url, const fs::path& partial, const std::string& step,
              const PullOptions& options, int redirects = 0) {
  if (redirects > 5) fail("{}: too many redirects", url);
  const Url parts = split(url);
  httplib::Client client(parts.host);
  client.set_connection_timeout(10);
  client.set_read_timeout(60);
  const size_t have = fs::exists(partial) ? fs::file_size(partial) : 0;
  httplib::Headers headers;
  if (have > 0) headers.emplace("Range", fmt::format("bytes={}-", have));

  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(nullptr, std::fclose);
  std::string location;
  int status = 0;
  size_t done = have, total = 0;
  const auto on_response = [&](const httplib::Response& response) {
    status = response.status;
    if (status >= 300 && status < 400) {
      location = response.get_header_value("Location");
      return true;
    }
    if (status != 200 && status != 206) return false;
    if (status == 200) done = 0;
    total = done + std::strtoull(response.get_header_value("Content-Length").c_str(), nullptr, 10);
    file.reset(std::fopen(partial.c_str(), status == 206 ? "ab" : "wb"));
    return file != nullptr;
  };
  const auto on_bytes = [&](const char* bytes, size_t count) {
    if (!file) return true;
    if (interrupted() || std::fwrite(bytes, 1, count, file.get()) != count) return false;
    done += count;
    if (options.progress) options.progress(step, done, total);
    return true;
  };
  const httplib::Result result = client.Get(parts.path, headers, on_response, on_bytes);
  throw_if_interrupted();
  if (!location.empty()) {
    download(location.starts_with('/') ? parts.host + location : location, partial, step, options,
             redirects + 1);
    return;
  }
  if (status == 416) return;  // nothing is left to send: the file was complete
  if (status != 0 && status != 200 && status != 206) fail("{} answered {}", parts.host, status);
  if (!result) fail("{} did not answer ({})", parts.host, httplib::to_string(result.error()));
  if (file && std::fflush(file.get()) != 0) fail("{}: writing failed; free some space", partial.string());
  if (total != 0 && done != total) fail("{}: broke off at {} of {} bytes", url, done, total);
}

}  // namespace

void pull_from_hub(const CatalogueEntry& entry, const PullOptions& options, const fs::path& downloads,
                   const fs::path& target) {
  const bool folder = !entry.sha256.contains("");
  for (const std::string& file : entry.hub.files) {
    const fs::path partial = downloads / ("hub-" + fs::path(file).filename().string() +
                                          std::to_string(std::hash<std::string>{}(file) % 10000));
    download(fmt::format("{}/{}/resolve/main/{}", options.hub, entry.hub.repository, file), partial,
             entry.name + ": " + file, options);
    const fs::path place = folder ? target / file : target;
    fs::create_directories(place.parent_path());
    fs::copy_file(partial, place, fs::copy_options::overwrite_existing);
  }
}

}  // namespace wattle
