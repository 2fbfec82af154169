#include <map>

#include <wattle/error.h>

#include "base/json.h"
#include "file/file_kind.h"
#include "file/onnx.h"
#include "file/readers.h"

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;

/// A file name out of an index, which must not lead out of the index's folder.
fs::path shard_path(const fs::path& index, const std::string& name) {
  if (name.empty() || name == ".." || name.find_first_of("/\\") != std::string::npos) {
    fail("{}: names the file \"{}\", which does not lie beside it; get the model again", index.string(),
         name);
  }
  return index.parent_path() / name;
}

void add_shards(const fs::path& index, const WantTensor& wanted, ModelFile::Contents& contents) {
  const nlohmann::json parsed = read_json_file(index);
  const JsonView view(&parsed, index.string());
  const nlohmann::json* map = view.find("weight_map");
  if (map == nullptr || !map->is_object() || map->empty()) {
    fail("{}: has no weight_map; get the file again", index.string());
  }
  const JsonView names = view.child("weight_map");
  std::map<std::string, std::vector<std::string>> tensors_of;
  for (const auto& [tensor, shard] : map->items())
    tensors_of[names.text(tensor).value_or("")].push_back(tensor);
  for (const auto& [shard, tensors] : tensors_of) {
    const size_t first = contents.tensors.size();
    const fs::path path = shard_path(index, shard);
    if (is_index(path)) fail("{}: names another index, {}; get the model again", index.string(), shard);
    add_weights(path, wanted, contents);
    std::map<std::string_view, int> found;
    for (size_t i = first; i < contents.tensors.size(); ++i) found.emplace(contents.tensors[i].name, 1);
    for (const std::string& tensor : tensors) {
      if (found.count(tensor) == 0 && (!wanted || wanted(tensor))) {
        fail("{}: does not hold the tensor {} that {} places there; get the model again", path.string(),
             tensor, index.filename().string());
      }
    }
  }
}

}  // namespace

void add_weights(const fs::path& path, const WantTensor& wanted, ModelFile::Contents& contents) {
  if (is_index(path)) {
    add_shards(path, wanted, contents);
    check_names(contents.tensors, path.string());
    return;
  }
  const WantTensor readable = refusing_foreign(wanted, path.string());
  MappedFile mapping(path);
  switch (kind_of(mapping.bytes(), path)) {
    case FileKind::kGguf:
      fail("{}: is a GGUF file, which holds its own settings; open it by itself", path.string());
    case FileKind::kOnnx:
      return add_onnx(path, wanted, contents);
    case FileKind::kSafetensors: {
      contents.kind = "safetensors";
      auto tensors = read_safetensors(mapping.bytes(), path.string(), readable);
      std::move(tensors.begin(), tensors.end(), std::back_inserter(contents.tensors));
      break;
    }
    case FileKind::kPickle:
      contents.kind = "pickle";
      read_pickle(mapping.bytes(), path.string(), readable, contents);
      break;
  }
  contents.mappings.push_back(std::move(mapping));
}

}  // namespace wattle::inline file
