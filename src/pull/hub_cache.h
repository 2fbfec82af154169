#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pull/model_files.h"

namespace wattle::inline pull {

/// One repository's folder in the cache that Python's huggingface_hub keeps ("Understand caching" in its
/// documentation): blobs/ETAG holds a file's bytes, snapshots/COMMIT/PATH is a link to it, refs/REVISION the
/// commit that a branch or tag stood for.
class HubCache {
 public:
  HubCache(const std::filesystem::path& cache, const std::string& repository);

  /// Empty when the revision is not known here.
  std::string commit_of(const std::string& revision) const;
  void set_commit(const std::string& revision, const std::string& commit) const;

  std::filesystem::path snapshot(const std::string& commit) const;
  std::filesystem::path blob(const std::string& etag) const;
  /// Whether the file of a commit is here with all its bytes.
  bool has(const std::string& commit, const std::string& path) const;
  /// Makes the blob appear under its name in the snapshot; where the file system has no links it moves there.
  void link(const std::string& commit, const std::string& path, const std::string& etag) const;
  /// The files of a snapshot whose bytes are here, sorted.
  std::vector<HubFile> files(const std::string& commit) const;

  /// Held while a blob is downloaded, by huggingface_hub too.
  class Lock {
   public:
    Lock(const HubCache& cache, const std::string& etag, const std::function<void()>& on_wait);
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    ~Lock();

   private:
    int file_;
  };

 private:
  std::filesystem::path folder_, locks_;
};

/// Whether the text is that many lower-case hexadecimal digits.
bool is_hex(const std::string& text, size_t digits);

}  // namespace wattle::inline pull
