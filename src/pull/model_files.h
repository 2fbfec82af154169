#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace wattle::inline pull {

struct HubFile {
  std::string path;    ///< in the repository, with '/'
  uint64_t bytes = 0;  ///< 0 when unknown
  std::string sha256;  ///< of the file, or empty
  std::string sha1;    ///< git's, of a small file, or empty
};

/// A repository's files, on a hub or in the cache.
struct HubFiles {
  std::string repository;  ///< as the user wrote it, without a file: "owner/name@revision"
  std::vector<HubFile> files;
  /// Brings a file of the list and says where it lies: indices and lists of modules are read.
  std::function<std::filesystem::path(const std::string& path)> fetch;
  std::string cure;  ///< ends the sentence on a file that an index names and the list has not

  const HubFile* find(const std::string& path) const;
};

struct ModelFiles {
  std::vector<std::string> paths;  ///< in order, none twice
  std::string model;               ///< the file to open; empty when the folder is the model
};

/// What a model needs of a repository: configuration, tokenizer, chat template, the modules of
/// sentence-transformers, licence, and one set of weights. Of the weights that a folder has the first of
/// model.safetensors, its shards, pytorch_model.bin, its shards; else its one GGUF file (or split GGUF), else
/// its one ONNX file. `file` asks for a certain one: a path, or the end of a GGUF file's name ("Q4_K_M").
/// Error listing the files with their sizes where one must be named, or when there are no weights.
ModelFiles choose_model_files(const HubFiles& hub, const std::string& file);

/// The files that match any of the shell patterns (fnmatch(3); '*' goes across folders). Error when none
/// does.
std::vector<std::string> matching_files(const HubFiles& hub, const std::vector<std::string>& patterns);

/// Whether a path of an untrusted list stays below its folder: relative, no "..", no empty part.
bool is_inner_path(const std::string& path);

}  // namespace wattle::inline pull
