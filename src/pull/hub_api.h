#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "pull/http.h"
#include "pull/model_files.h"
#include "pull/repository.h"

namespace wattle::inline pull {

/// The Hugging Face hub's interface for downloads (or that of a mirror). Its refusals become one sentence
/// with the cure.
class Hub {
 public:
  /// `endpoint` is a web address without a path.
  Hub(const std::string& endpoint, const HttpOptions& options);

  struct Listing {
    std::string commit;  ///< 40 hexadecimal digits
    std::vector<HubFile> files;
  };
  /// The files of a revision. Error for a path that would lie outside the repository's folder.
  Listing list(const Repository& repository) const;

  struct FileFacts {
    std::string etag;  ///< what the cache calls the bytes: the SHA-256 of a large file, git's SHA-1 of others
    uint64_t bytes = 0;  ///< 0 when unknown
  };
  FileFacts facts(const Repository& repository, const std::string& commit, const std::string& path) const;

  /// Continues `partial` to the end of the file.
  void download(const Repository& repository, const std::string& commit, const std::string& path,
                const std::filesystem::path& partial, uint64_t bytes,
                const std::function<void(size_t, size_t)>& progress) const;

 private:
  [[noreturn]] void refuse(const Repository& repository, const HttpAnswer& answer,
                           const std::string& what) const;
  std::string near_names(const std::string& name) const;
  std::string file_url(const Repository& repository, const std::string& commit,
                       const std::string& path) const;

  std::string endpoint_, host_;
  bool has_token_;
  Http http_;
};

}  // namespace wattle::inline pull
