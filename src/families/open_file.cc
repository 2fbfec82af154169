#include "families/open_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/json.h"
#include "base/sha256.h"
#include "families/family.h"
#include "families/heads.h"
#include "file/file_kind.h"
#include "file/readers.h"

namespace wattle::inline families {
namespace {

namespace fs = std::filesystem;

void own(Tensor& tensor, std::vector<std::byte> bytes, ModelFile::Contents& contents) {
  contents.owned.push_back(std::make_unique<std::vector<std::byte>>(std::move(bytes)));
  tensor.bytes = *contents.owned.back();
}

/// What became of the tensors of a folder's weights.
struct Import {
  const Description& description;
  bool tied, needs_output;  ///< the output matrix is the embedding; the file is of a model that makes logits
  std::string origin, architecture;
  std::set<std::string> left_out, buffers;
  /// Tensors, or parts of them, that have several names are read once.
  std::map<std::pair<const TensorSpec*, size_t>, std::string> taken;

  /// Nothing for a tensor that is not read; Error for one that has no place.
  std::optional<Description::Found> place_of(const std::string& name) {
    const Description::Found found = description.find_source(name);
    switch (found.use) {
      case Description::Use::kTensor:
        // A tied output matrix is the embedding again.
        if (tied && found.spec->role == Role::kOutput && found.spec->optional) return {};
        if (taken.emplace(std::pair(found.spec, found.part), name).first->second != name) return {};
        return found;
      case Description::Use::kBuffer:
        buffers.insert(name);
        return {};
      case Description::Use::kLeftOut:
        left_out.insert(name);
        return {};
      case Description::Use::kUnknown:
        break;
    }
    fail("{}: the tensor {} has no place in a model of the family {}; use the published files of the model",
         origin, name, architecture);
  }
};

/// The parts of one tensor, in order, as one.
Tensor joined(const TensorSpec& spec, std::span<const Tensor> parts, const std::string& origin,
              ModelFile::Contents& contents) {
  Tensor whole{
      spec.name, parts.front().format, {static_cast<int64_t>(parts.size()), parts.front().elements()}, {}};
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < parts.size(); ++i) {
    const Tensor& part = parts[i];
    if (part.name.empty()) fail("{}: lacks the tensor {}; get the model again", origin, spec.parts[i]);
    if (part.format != whole.format || part.elements() != whole.shape[1])
      fail("{}: the tensor {} is unlike the others of {}; get the model again", origin, part.name, spec.name);
    bytes.insert(bytes.end(), part.bytes.begin(), part.bytes.end());
  }
  own(whole, std::move(bytes), contents);
  return whole;
}

void add_mapped_tensors(Import& import, const fs::path& weights, ModelFile::Contents& contents) {
  const size_t first = contents.tensors.size();
  add_weights(
      weights, [&](const std::string& name) { return import.place_of(name).has_value(); }, contents);
  std::vector<Tensor> read(
      std::make_move_iterator(contents.tensors.begin() + static_cast<std::ptrdiff_t>(first)),
      std::make_move_iterator(contents.tensors.end()));
  contents.tensors.resize(first);
  std::map<std::string, std::pair<const TensorSpec*, std::vector<Tensor>>> apart;
  for (Tensor& tensor : read) {
    const Description::Found found = *import.place_of(tensor.name);
    const TensorSpec& spec = *found.spec;
    if (!spec.parts.empty()) {
      auto& [of, parts] = apart[spec.name];
      of = &spec;
      parts.resize(spec.parts.size());
      parts[found.part] = std::move(tensor);
      continue;
    }
    if (spec.change) {
      std::vector<std::byte> changed;
      spec.change(tensor, changed);
      own(tensor, std::move(changed), contents);
    }
    tensor.name = spec.name;
    contents.tensors.push_back(std::move(tensor));
  }
  for (const auto& [name, of] : apart)
    contents.tensors.push_back(joined(*of.first, of.second, import.origin, contents));
  check_names(contents.tensors, import.origin);
  const TensorSpec* output = import.description.find("output.weight");
  if (import.needs_output && !import.tied && output != nullptr && import.taken.count({output, 0}) == 0) {
    fail("{}: lacks the tensor {}, and tie_word_embeddings is false; get the model again", import.origin,
         output->source);
  }
  if (!import.left_out.empty()) {
    contents.notes.push_back(fmt::format("left out, for {} does not compute with them: {}",
                                         import.architecture, fmt::join(import.left_out, ", ")));
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
    if (!JsonView(&parsed, path.string()).flag("include_prompt").value_or(true)) {
      metadata.set("wattle.pooling.include_prompt", Value::of(false));
    }
  };
  const fs::path path = folder / "modules.json";
  if (!fs::exists(path)) {
    if (fs::exists(folder / "1_Pooling/config.json")) set_pooling(folder / "1_Pooling/config.json");
    return;
  }
  const nlohmann::json modules = read_json_file(path);
  if (!modules.is_array()) fail("{}: is not a list of modules; get the file again", path.string());
  // What config.json says of it (model2vec) stands.
  if (metadata.find("wattle.normalize_embeddings") == nullptr)
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
    } else if (kind != "Transformer" && kind != "StaticEmbedding") {
      fail("{}: the module {} is not known here; use another model", path.string(), type);
    }
  }
}

/// config_sentence_transformers.json: what stands before texts.
void read_prompts(const fs::path& folder, Metadata& metadata) {
  const fs::path path = folder / "config_sentence_transformers.json";
  if (!fs::exists(path)) return;
  const nlohmann::json parsed = read_json_file(path);
  const JsonView config(&parsed, path.string());
  const nlohmann::json* prompts = config.find("prompts");
  std::vector<std::string> names, texts;
  if (prompts == nullptr) return;
  if (!prompts->is_object()) fail("{}: prompts is no object; get the file again", path.string());
  for (const auto& [name, text] : prompts->items()) {
    if (!text.is_string()) fail("{}: the prompt {} is no text; get the file again", path.string(), name);
    names.push_back(name);
    texts.push_back(text.get<std::string>());
  }
  const auto chosen = config.text("default_prompt_name");
  if (chosen && std::ranges::find(names, *chosen) == names.end()) {
    fail("{}: default_prompt_name is {}, which is none of its prompts; correct it", path.string(), *chosen);
  }
  if (names.empty()) return;
  metadata.set("wattle.prompts.names", Value::of(std::move(names)));
  metadata.set("wattle.prompts.texts", Value::of(std::move(texts)));
  if (chosen) metadata.set("wattle.prompts.default", Value::of(*chosen));
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

/// The metadata of config.json, read by its family.
struct ImportedConfig {
  const Family& family;
  bool tied = false;
};

ImportedConfig import_config(const JsonView& whole, ModelFile::Contents& contents) {
  const Family& family = family_of_type(whole.text("model_type").value_or(""), whole.origin());
  // Models that also see keep the numbers of their text part apart.
  const JsonView text_part = whole.child("text_config");
  ConfigReader config(text_part ? text_part : whole, std::string(family.architecture), contents.metadata);
  contents.metadata.set("general.architecture", Value::of(std::string(family.architecture)));
  contents.metadata.set("general.type", Value::of(std::string("model")));
  config.expect("pruned_heads", nlohmann::json::object());
  family.read_config(config);
  read_head(config, contents.metadata);
  if (const auto unread = config.unread(); !unread.empty()) {
    contents.notes.push_back(fmt::format("{}: {} does not know and does not honour {}", whole.origin(),
                                         family.architecture, fmt::join(unread, ", ")));
  }
  for (const auto& [name, values] : config.made_tensors()) {
    Tensor tensor{name, Format::kF32, {static_cast<int64_t>(values.size())}, {}};
    const auto bytes = std::as_bytes(std::span(values));
    own(tensor, {bytes.begin(), bytes.end()}, contents);
    contents.tensors.push_back(std::move(tensor));
  }
  return {family, config.is_tied()};
}

/// A folder's own name; of a commit in the hub's cache (models--OWNER--NAME/snapshots/COMMIT) the model's
/// NAME.
std::string name_of(const fs::path& folder) {
  const fs::path path = (fs::canonical(folder) / "").parent_path();
  const std::string model = path.parent_path().parent_path().filename().string();
  const bool cached = path.parent_path().filename() == "snapshots" && model.starts_with("models--");
  return cached ? model.substr(model.rfind("--") + 2) : path.filename().string();
}

/// Whether `architectures` of config.json is a model over a vocabulary: LlamaForCausalLM, GPT2LMHeadModel,
/// ...
bool makes_logits(const JsonView& config) {
  const nlohmann::json* names = config.find("architectures");
  if (names == nullptr || !names->is_array() || names->empty() || !names->front().is_string()) return false;
  const auto name = names->front().get<std::string>();
  return name.ends_with("ForCausalLM") || name.ends_with("LMHeadModel") ||
         name.ends_with("ForConditionalGeneration");
}

/// Encoders are published under the name of the head that trained them, often without its tensors
/// (all-mpnet-base-v2 is a MPNetForMaskedLM): then there is no head, which a note says.
void forget_missing_masked_head(const std::string& architecture, ModelFile::Contents& contents) {
  if (head_of(contents.metadata) != NetworkHeadKind::kMasked) return;
  const bool there = std::ranges::any_of(
      contents.tensors, [](const Tensor& tensor) { return tensor.name.starts_with("mlm."); });
  if (there) return;
  contents.metadata.erase("wattle.head");
  contents.notes.push_back(fmt::format(
      "config.json names a head of {} for masked words, and the weights have none: it has no head",
      architecture));
}

/// Heads know the model that they were trained on by its norms, which no precision changes. Where a model has
/// none, by a sample of its weights as they were published.
void set_fingerprint(ModelFile::Contents& contents) {
  constexpr int64_t kSampledRows = 256;
  if (std::ranges::any_of(contents.tensors, [](const Tensor& tensor) {
        return tensor.shape.size() == 1 && tensor.name.find("norm") != std::string::npos;
      }))
    return;
  Sha256 hash;
  for (const Tensor& tensor : contents.tensors) {
    if (tensor.rows() == 0) continue;
    const auto rows = static_cast<size_t>(tensor.rows()), bytes = tensor.bytes.size() / rows;
    hash.add(tensor.name);
    for (size_t row = 0; row < rows; row += std::max<size_t>(1, rows / kSampledRows))
      hash.add(tensor.bytes.subspan(row * bytes, bytes));
  }
  contents.metadata.set("wattle.fingerprint", Value::of(hash.hex()));
}

ModelFile::Contents read_folder(const fs::path& folder, const fs::path& given_weights) {
  const fs::path config_path = folder / "config.json";
  const fs::path source = given_weights.empty() ? find_weights(folder) : given_weights;
  ModelFile::Contents contents;
  const nlohmann::json parsed = read_config(folder, source, contents.notes);
  const JsonView whole(&parsed, config_path.string());
  refuse_foreign_folder(folder, whole);
  contents.path = folder;
  contents.metadata = Metadata(folder.string());
  const ImportedConfig config = import_config(whole, contents);
  contents.metadata.set("general.name", Value::of(name_of(folder)));
  if (const std::string licence = licence_of(folder); !licence.empty()) {
    contents.metadata.set("general.license", Value::of(licence));
  }
  const Description description = describe(contents.metadata);
  Import import{description,
                config.tied,
                makes_logits(whole),
                source.string(),
                std::string(config.family.architecture),
                {},
                {},
                {}};
  add_mapped_tensors(import, source, contents);
  forget_missing_masked_head(import.architecture, contents);
  set_fingerprint(contents);
  contents.kind = "folder";
  contents.metadata.set("general.file_type", Value::of(file_type(contents.tensors)));
  read_modules(folder, contents);
  read_prompts(folder, contents.metadata);
  const JsonView text_part = whole.child("text_config");
  read_hf_tokenizer(folder, text_part ? text_part : whole, contents);
  read_generation_config(folder, contents);
  return contents;
}

}  // namespace

ModelFile open_model_file(const fs::path& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) return ModelFile(read_folder(path, {}));
  const FileKind kind = kind_of_file(path);
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  // An ONNX file shows its settings itself; with a tokenizer beside it, it is a model.
  const bool of_folder = fs::exists(folder / "config.json", code) ||
                         (kind == FileKind::kOnnx && fs::exists(folder / "tokenizer.json", code));
  if (kind != FileKind::kGguf && of_folder) return ModelFile(read_folder(folder, path));
  return ModelFile::open(path);
}

ModelFile::Contents contents_of_config(const nlohmann::json& config, const std::string& origin) {
  ModelFile::Contents contents;
  contents.path = origin;
  contents.kind = "shape";
  contents.metadata = Metadata(origin);
  const ImportedConfig read = import_config(JsonView(&config, origin), contents);
  const Description description = describe(contents.metadata);
  for (const TensorSpec& spec : description.tensors()) {
    // What some files have and some not, a configuration alone has not, but the output matrix where it is its
    // own.
    if (spec.optional && (spec.role != Role::kOutput || read.tied)) continue;
    if (std::ranges::find(spec.shape, kAnySize) != spec.shape.end())
      fail("{}: the configuration does not say the size of {}; add what is missing", origin, spec.name);
    contents.tensors.push_back({spec.name, Format::kF32, spec.shape, {}});
  }
  return contents;
}

}  // namespace wattle::inline families
