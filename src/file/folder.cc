#include <algorithm>
#include <array>
#include <cstring>
#include <set>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/json.h"
#include "file/file_kind.h"
#include "file/hf_names.h"
#include "file/readers.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

/// New contents for a tensor, owned by the file.
void replace(Tensor& tensor, Format format, std::vector<std::byte> bytes, ModelFile::Contents& contents) {
  contents.owned.push_back(std::make_unique<std::vector<std::byte>>(std::move(bytes)));
  tensor.format = format;
  tensor.bytes = *contents.owned.back();
}

/// Rotary positions turn a head's values in pairs: Hugging Face keeps the two of a pair half a head apart,
/// GGUF's llama side by side.
void interleave_rows(Tensor& tensor, int64_t heads, ModelFile::Contents& contents) {
  const int64_t rows = tensor.shape.empty() ? 0 : tensor.shape[0];
  if (rows == 0 || heads < 1 || rows % (2 * heads) != 0) {
    fail("{}: the {} rows of tensor {} are not {} heads of an even width; get the model again",
         contents.metadata.origin(), rows, tensor.name, heads);
  }
  const size_t row_bytes = tensor.bytes.size() / static_cast<size_t>(rows);
  const int64_t half = rows / heads / 2;
  std::vector<std::byte> bytes(tensor.bytes.size());
  for (int64_t head = 0; head < heads; ++head) {
    for (int64_t i = 0; i < 2 * half; ++i) {
      const int64_t to = head * 2 * half + 2 * (i % half) + i / half;
      std::memcpy(bytes.data() + static_cast<size_t>(to) * row_bytes,
                  tensor.bytes.data() + static_cast<size_t>(head * 2 * half + i) * row_bytes, row_bytes);
    }
  }
  replace(tensor, tensor.format, std::move(bytes), contents);
}

void add_one(Tensor& tensor, ModelFile::Contents& contents) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  decode(tensor.format, tensor.bytes, values);
  for (float& value : values) value += 1;
  const auto bytes = std::as_bytes(std::span(values));
  replace(tensor, Format::kF32, {bytes.begin(), bytes.end()}, contents);
}

void apply(Change change, Tensor& tensor, ModelFile::Contents& contents) {
  const auto heads = [&](const char* key) {
    return contents.metadata.need_integer(contents.metadata.need_text("general.architecture") + key);
  };
  switch (change) {
    case Change::kNone:
      break;
    case Change::kInterleaveQueries:
      interleave_rows(tensor, heads(".attention.head_count"), contents);
      break;
    case Change::kInterleaveKeys:
      interleave_rows(tensor, heads(".attention.head_count_kv"), contents);
      break;
    case Change::kAddOne:
      add_one(tensor, contents);
      break;
  }
}

void add_mapped_tensors(const HfFamily& family, bool tied, const fs::path& weights,
                        ModelFile::Contents& contents) {
  const std::string origin = weights.string();
  std::set<std::string> unused;
  const auto wanted = [&](const std::string& name) {
    const bool used = !gguf_name(family, name, tied, origin).name.empty();
    if (!used) unused.insert(name);
    return used;
  };
  const size_t first = contents.tensors.size();
  add_weights(weights, wanted, contents);
  for (size_t i = first; i < contents.tensors.size(); ++i) {
    Tensor& tensor = contents.tensors[i];
    const MappedName mapped = gguf_name(family, tensor.name, tied, origin);
    tensor.name = mapped.name;
    apply(mapped.change, tensor, contents);
  }
  check_names(contents.tensors, origin);
  if (!unused.empty()) {
    contents.notes.push_back(fmt::format("left out, for {} does not compute with them: {}",
                                         family.architecture, fmt::join(unused, ", ")));
  }
}

/// The value of `license:` in the front matter of the model's README.md.
std::string licence_of(const fs::path& folder) {
  std::error_code code;
  if (!fs::is_regular_file(folder / "README.md", code) || fs::file_size(folder / "README.md", code) == 0)
    return {};
  const MappedFile readme(folder / "README.md");
  std::string_view text(reinterpret_cast<const char*>(readme.bytes().data()), readme.bytes().size());
  bool inside = false;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line == "---") {
      if (inside) break;
      inside = true;
      continue;
    }
    if (!inside) break;
    if (!line.starts_with("license:")) continue;
    line.remove_prefix(std::strlen("license:"));
    const size_t begin = line.find_first_not_of(" \"'");
    return begin == std::string_view::npos
               ? std::string()
               : std::string(line.substr(begin, line.find_last_not_of(" \"'") - begin + 1));
  }
  return {};
}

int64_t pooling_type(const JsonView& pooling) {
  struct Mode {
    const char* key;
    int64_t type;  // llama.cpp's numbers
  };
  constexpr Mode kModes[] = {
      {"pooling_mode_mean_tokens", 1}, {"pooling_mode_cls_token", 2}, {"pooling_mode_lasttoken", 3}};
  constexpr const char* kUnknown[] = {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
                                      "pooling_mode_weightedmean_tokens"};
  int64_t type = 0;
  int chosen = 0;
  for (const Mode& mode : kModes) {
    if (!pooling.flag(mode.key).value_or(false)) continue;
    type = mode.type;
    ++chosen;
  }
  for (const char* key : kUnknown) {
    if (pooling.flag(key).value_or(false))
      fail("{}: {} is not known here; use another model", pooling.origin(), key);
  }
  if (chosen != 1)
    fail("{}: chooses {} ways of pooling where one is needed; correct it", pooling.origin(), chosen);
  return type;
}

/// modules.json of Sentence Transformers: what happens to the hidden states after the last layer.
void read_modules(const fs::path& folder, ModelFile::Contents& contents) {
  Metadata& metadata = contents.metadata;
  const auto set_pooling = [&](const fs::path& path) {
    const nlohmann::json parsed = read_json_file(path);
    metadata.set(metadata.need_text("general.architecture") + ".pooling_type",
                 Value::of(pooling_type(JsonView(&parsed, path.string()))));
  };
  const fs::path path = folder / "modules.json";
  if (!fs::exists(path)) {
    if (fs::exists(folder / "1_Pooling/config.json")) set_pooling(folder / "1_Pooling/config.json");
    return;
  }
  const nlohmann::json modules = read_json_file(path);
  if (!modules.is_array()) fail("{}: is not a list of modules; get the file again", path.string());
  metadata.set("wattle.normalize_embeddings", Value::of(false));
  for (const nlohmann::json& entry : modules) {
    const JsonView module(&entry, path.string());
    const std::string type = module.text("type").value_or("");
    const std::string kind = type.substr(type.rfind('.') + 1);
    if (kind == "Pooling") {
      const std::string place = module.text("path").value_or("");
      if (place.empty() || place.find_first_of("/\\") != std::string::npos || place == "..") {
        fail("{}: the pooling module lies at \"{}\", not in a folder beside it; get the model again",
             path.string(), place);
      }
      set_pooling(folder / place / "config.json");
    } else if (kind == "Normalize") {
      metadata.set("wattle.normalize_embeddings", Value::of(true));
    } else if (kind != "Transformer") {
      fail("{}: the module {} is not known here; use another model", path.string(), type);
    }
  }
}

/// llama.cpp's number for the type of most weights.
int64_t file_type(const std::vector<Tensor>& tensors) {
  size_t halves = 0;
  size_t brains = 0;
  size_t all = 0;
  for (const Tensor& tensor : tensors) {
    all += static_cast<size_t>(tensor.elements());
    if (tensor.format == Format::kF16) halves += static_cast<size_t>(tensor.elements());
    if (tensor.format == Format::kBF16) brains += static_cast<size_t>(tensor.elements());
  }
  if (halves > all / 2) return 1;
  return brains > all / 2 ? 32 : 0;
}

}  // namespace

ModelFile::Contents read_folder(const fs::path& folder, const fs::path& weights) {
  const fs::path config_path = folder / "config.json";
  const fs::path source = weights.empty() ? find_weights(folder) : weights;
  ModelFile::Contents contents;
  const nlohmann::json parsed = read_config(folder, source, contents.notes);
  const JsonView whole(&parsed, config_path.string());
  refuse_foreign_folder(folder, whole);
  const HfFamily& family = hf_family(whole.text("model_type").value_or(""), config_path.string());
  // Models that also see keep the numbers of their text part apart.
  const JsonView text_part = whole.child("text_config");
  const JsonView& config = text_part ? text_part : whole;

  contents.path = folder;
  contents.metadata = Metadata(folder.string());
  read_hf_config(family, config, contents);
  contents.metadata.set("general.type", Value::of(std::string("model")));
  const fs::path name = (fs::canonical(folder) / "").parent_path().filename();
  contents.metadata.set("general.name", Value::of(name.string()));
  if (const std::string licence = licence_of(folder); !licence.empty()) {
    contents.metadata.set("general.license", Value::of(licence));
  }
  const bool tied = whole.flag("tie_word_embeddings").value_or(family.tied_by_default);
  add_mapped_tensors(family, tied, source, contents);
  contents.kind = "folder";
  contents.metadata.set("general.file_type", Value::of(file_type(contents.tensors)));
  read_modules(folder, contents);
  read_hf_tokenizer(folder, config, contents);
  return contents;
}

}  // namespace wattle
