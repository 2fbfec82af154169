#include "pull/repository.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <system_error>

#include <wattle/error.h>

#include "base/mapped_file.h"
#include "base/output_file.h"
#include "base/sha256.h"
#include "pull/hub_api.h"
#include "pull/hub_cache.h"
#include "pull/model_files.h"

namespace wattle::inline pull {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMain = "main";

/// The hub's rule for the names of owners and repositories.
bool is_name(const std::string& text) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
  const auto edge = [](char c) { return c == '-' || c == '.'; };
  return !text.empty() && text.size() <= 96 && std::all_of(text.begin(), text.end(), plain) &&
         !edge(text.front()) && !edge(text.back()) && text.find("--") == std::string::npos &&
         text.find("..") == std::string::npos;
}

std::string without_file(const Repository& repository) {
  return Repository{repository.name, repository.revision, ""}.text();
}

/// What to open: one file of the snapshot, or all of it.
fs::path model_in(const fs::path& snapshot, const ModelFiles& files) {
  return files.model.empty() ? snapshot : snapshot / files.model;
}

/// Git's name of a file's bytes: SHA-1 over "blob LENGTH", a zero byte, and the bytes.
std::string git_sha1(const fs::path& path) {
  const MappedFile file(path);
  const std::string head = fmt::format("blob {}", file.bytes().size());
  std::array<unsigned char, 20> digest{};
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const bool done = context && EVP_DigestInit_ex(context.get(), EVP_sha1(), nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), head.c_str(), head.size() + 1) == 1 &&
                    EVP_DigestUpdate(context.get(), file.bytes().data(), file.bytes().size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
  if (!done) fail("{}: its SHA-1 cannot be computed; the OpenSSL library refuses", path.string());
  std::string hex;
  for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
  return hex;
}

/// One pull: what was asked, of whom, and what is known of the revision.
class Pull {
 public:
  Pull(const Repository& repository, const PullOptions& options)
      : repository_(repository),
        options_(options),
        hub_(options.hub, {.token = options.token, .first_wait = options.first_wait}),
        cache_(options.hub_cache, repository.name),
        listing_(hub_.list(repository)) {}

  fs::path run() {
    const HubFiles files{without_file(repository_), listing_.files,
                         [this](const std::string& path) { return fetch(path); },
                         "its owner must mend the repository"};
    ModelFiles chosen;
    if (options_.include.empty()) {
      chosen = choose_model_files(files, repository_.file);
    } else {
      chosen.paths = matching_files(files, options_.include);
    }
    for (const std::string& path : chosen.paths) fetch(path);
    cache_.set_commit(repository_.revision, listing_.commit);
    return model_in(cache_.snapshot(listing_.commit), chosen);
  }

 private:
  fs::path fetch(const std::string& path) {
    const fs::path place = cache_.snapshot(listing_.commit) / path;
    const bool again = options_.force && std::find(fetched_.begin(), fetched_.end(), path) == fetched_.end();
    if (cache_.has(listing_.commit, path) && !again) return place;
    const HubFile* file = find(path);
    const Hub::FileFacts facts = hub_.facts(repository_, listing_.commit, path);
    std::string etag = facts.etag;
    if (etag.empty()) etag = file->sha256.empty() ? file->sha1 : file->sha256;
    if (etag.empty())
      fail("{}: {} has no ETag for {}; it is not a hub", repository_.name, options_.hub, path);
    const HubCache::Lock lock(cache_, etag, [&] { say("waiting for another download of " + path, 0, 0); });
    if (!fs::exists(cache_.blob(etag)) || again) {
      download(*file, etag, facts.bytes > 0 ? facts.bytes : file->bytes);
    }
    cache_.link(listing_.commit, path, etag);
    fetched_.push_back(path);
    return place;
  }

  const HubFile* find(const std::string& path) const {
    return &*std::find_if(listing_.files.begin(), listing_.files.end(),
                          [&](const HubFile& file) { return file.path == path; });
  }

  void say(const std::string& step, size_t done, size_t total) const {
    if (options_.progress) options_.progress(repository_.name + ": " + step, done, total);
  }

  void download(const HubFile& file, const std::string& etag, uint64_t bytes) {
    fs::path partial = cache_.blob(etag);
    partial += ".incomplete";
    std::error_code code;
    if (options_.force) fs::remove(partial, code);
    for (bool resumed = fs::exists(partial);; resumed = false) {
      check_space(partial, bytes);
      hub_.download(repository_, listing_.commit, file.path, partial, bytes,
                    [&](size_t done, size_t total) { say(file.path, done, total); });
      if (!fs::exists(partial)) OutputFile(partial).commit();  // an empty file has no bytes to write
      const std::string difference = difference_of(partial, file, etag, bytes);
      if (difference.empty()) break;
      // What an earlier pull left may be of other bytes: from the beginning, once.
      fs::remove(partial, code);
      if (!resumed) {
        fail("{}: {} {}; nothing of it is kept, pull it again", repository_.name, file.path, difference);
      }
    }
    fs::rename(partial, cache_.blob(etag));
  }

  void check_space(const fs::path& partial, uint64_t bytes) const {
    std::error_code code;
    const auto have = fs::file_size(partial, code);
    const uint64_t missing = bytes - std::min<uint64_t>(bytes, code ? 0 : have);
    const auto space = fs::space(partial.parent_path(), code);
    if (code || missing <= space.available) return;
    fail("{}: needs {} MB more and has {} MB; free some space or set HF_HUB_CACHE to another disk",
         partial.parent_path().string(), missing / 1000000 + 1, space.available / 1000000);
  }

  /// How the bytes differ from what the hub says of them; empty when they do not.
  std::string difference_of(const fs::path& partial, const HubFile& file, const std::string& etag,
                            uint64_t bytes) const {
    const uint64_t have = fs::file_size(partial);
    if (bytes > 0 && have != bytes) return fmt::format("came with {} bytes, the hub says {}", have, bytes);
    say("checking " + file.path, 0, 0);
    const bool named_by_sum = file.sha256.empty() && is_hex(etag, 64);
    const std::string sha256 = named_by_sum ? etag : file.sha256;
    if (sha256.empty() && file.sha1.empty()) return {};
    const std::string& expected = sha256.empty() ? file.sha1 : sha256;
    const std::string found = sha256.empty() ? git_sha1(partial) : sha256_hex_of_file(partial);
    if (found == expected) return {};
    return fmt::format("has {} {}..., the hub says {}...", sha256.empty() ? "git SHA-1" : "SHA-256",
                       found.substr(0, 16), expected.substr(0, 16));
  }

  const Repository& repository_;
  const PullOptions& options_;
  Hub hub_;
  HubCache cache_;
  Hub::Listing listing_;
  std::vector<std::string> fetched_;
};

}  // namespace

std::string Repository::text() const {
  return name + (revision == kMain ? "" : "@" + revision) + (file.empty() ? "" : ":" + file);
}

std::optional<Repository> repository_from_text(const std::string& text) {
  Repository repository;
  const size_t colon = text.find(':');
  std::string name = text.substr(0, colon);
  if (colon != std::string::npos) repository.file = text.substr(colon + 1);
  const size_t at = name.find('@');
  repository.revision = at == std::string::npos ? kMain : name.substr(at + 1);
  repository.name = name.substr(0, at);
  const size_t slash = repository.name.find('/');
  const bool valid = slash != std::string::npos && is_name(repository.name.substr(0, slash)) &&
                     is_name(repository.name.substr(slash + 1)) && is_inner_path(repository.revision) &&
                     (colon == std::string::npos || is_inner_path(repository.file));
  return valid ? std::optional(repository) : std::nullopt;
}

fs::path pull_repository(const Repository& repository, const PullOptions& options) {
  return Pull(repository, options).run();
}

fs::path cached_repository(const Repository& repository, const fs::path& hub_cache) {
  const HubCache cache(hub_cache, repository.name);
  const std::string commit = cache.commit_of(repository.revision);
  HubFiles files{without_file(repository),
                 {},
                 [&](const std::string& path) { return cache.snapshot(commit) / path; },
                 fmt::format("run `wattle pull {}`", repository.text())};
  if (!commit.empty()) files.files = cache.files(commit);
  if (files.files.empty()) {
    fail(
        "{}: there is no such file, nor such a model of the hub on this machine; run `wattle pull {}` to get "
        "it",
        repository.text(), repository.text());
  }
  return model_in(cache.snapshot(commit), choose_model_files(files, repository.file));
}

}  // namespace wattle::inline pull
