#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "pull/pull.h"

namespace wattle::inline pull {

/// A model of a hub: OWNER/NAME, with a branch, tag or commit after '@' and a file after ':'.
struct Repository {
  std::string name;      ///< "owner/name"
  std::string revision;  ///< "main" when none was given
  std::string
      file;  ///< a path in the repository, or the end of a GGUF file's name such as "Q4_K_M"; may be empty

  /// The same in one word, as it was given.
  std::string text() const;
};

/// Empty when the text has another form, or when a part of it could not be a path below a folder.
std::optional<Repository> repository_from_text(const std::string& text);

/// Brings what a model needs (pull/model_files.h) into the hub's cache, where Python's huggingface_hub finds
/// it too, and returns the folder or file to open. Files that are there already, whoever brought them, are
/// not brought again; broken-off ones are continued. The revision's name points to the model when all is
/// there. Error with the cure: a repository or revision that does not exist (with names that come near),
/// terms to accept, a checksum that is not the hub's, a full disk.
std::filesystem::path pull_repository(const Repository& repository, const PullOptions& options);

/// Where the hub's cache holds the model: a folder, or the file of a repository of GGUF files. Error with the
/// command that mends it when it is not there, or when one of several files must be named.
std::filesystem::path cached_repository(const Repository& repository, const std::filesystem::path& hub_cache);

}  // namespace wattle::inline pull
