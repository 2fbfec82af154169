#include <algorithm>

#include <fmt/format.h>
#include <wattle/error.h>

#include "file/readers.h"

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNumber = "split.no";
constexpr const char* kCount = "split.count";
constexpr const char* kTensors = "split.tensors.count";
constexpr int64_t kMostParts = 99999;  // as many as their names have digits for

/// "model" of model-00001-of-00003.gguf; Error for a name without that end.
std::string stem_of(const fs::path& path, int64_t number, int64_t count) {
  const std::string name = path.filename().string();
  const std::string ending = fmt::format("-{:05}-of-{:05}.gguf", number + 1, count);
  if (!name.ends_with(ending)) {
    fail("{}: is part {} of a model in {} and its name does not end in {}; name the parts so", path.string(),
         number + 1, count, ending);
  }
  return name.substr(0, name.size() - ending.size());
}

fs::path part_path(const fs::path& first, const std::string& stem, int64_t number, int64_t count) {
  return first.parent_path() / fmt::format("{}-{:05}-of-{:05}.gguf", stem, number + 1, count);
}

/// One part's tensors; the rest of what it says was said by the first.
void add_part(const fs::path& path, int64_t number, int64_t count, ModelFile::Contents& contents) {
  std::error_code code;
  if (!fs::is_regular_file(path, code)) {
    fail("{}: part {} of {} of the model is missing; get it too", path.string(), number + 1, count);
  }
  MappedFile mapping(path);
  ModelFile::Contents part = read_gguf(mapping.bytes(), path.string());
  if (part.metadata.integer(kNumber) != number || part.metadata.integer(kCount) != count) {
    fail("{}: is not part {} of {} of the model; get the parts of one model", path.string(), number + 1,
         count);
  }
  std::move(part.tensors.begin(), part.tensors.end(), std::back_inserter(contents.tensors));
  contents.mappings.push_back(std::move(mapping));
}

}  // namespace

ModelFile::Contents open_gguf(const fs::path& path) {
  MappedFile mapping(path);
  ModelFile::Contents contents = read_gguf(mapping.bytes(), path.string());
  contents.mappings.push_back(std::move(mapping));
  Metadata& metadata = contents.metadata;
  const int64_t count = metadata.integer(kCount).value_or(1);
  const int64_t number = metadata.integer(kNumber).value_or(0);
  const int64_t tensors = metadata.integer(kTensors).value_or(-1);
  if (count < 0 || count > kMostParts || number < 0 || number >= std::max<int64_t>(count, 1)) {
    fail("{}: says that it is part {} of {}; the file is corrupt, get it again", path.string(), number + 1,
         count);
  }
  for (const char* key : {kNumber, kCount, kTensors}) metadata.erase(key);
  if (count <= 1) return contents;
  const std::string stem = stem_of(path, number, count);
  if (number != 0) {
    fail("{}: is part {} of {} of a model; open its first part, {}", path.string(), number + 1, count,
         part_path(path, stem, 0, count).filename().string());
  }
  for (int64_t part = 1; part < count; ++part)
    add_part(part_path(path, stem, part, count), part, count, contents);
  check_names(contents.tensors, path.string());
  if (tensors >= 0 && static_cast<uint64_t>(tensors) != contents.tensors.size()) {
    fail("{}: the parts hold {} tensors where {} belong to the model; get the parts of one model",
         path.string(), contents.tensors.size(), tensors);
  }
  return contents;
}

}  // namespace wattle::inline file
