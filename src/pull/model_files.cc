#include "pull/model_files.h"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/json.h"
#include "base/utf8.h"

namespace wattle::inline pull {
namespace {

/// What describes a model, in its folder.
constexpr std::array kDescriptions = {
    "config.json", "generation_config.json",
    // Tokenizers of every kind.
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
    "vocab.json", "merges.txt", "tokenizer.model", "spiece.model", "spm.model", "sentencepiece*.model",
    "*.spm", "bpe.codes", "dict.txt",
    // Chat templates.
    "chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja",
    // Pictures and sounds to numbers.
    "preprocessor_config.json", "processor_config.json",
    // Sentence-transformers.
    "modules.json", "sentence_*_config.json", "config_sentence_transformers.json",
    // The licence.
    "README.md", "LICENSE*", "LICENCE*"};

struct Weights {
  const char* name;
  bool index;  ///< names shards
};
constexpr std::array kWeights = {
    Weights{"model.safetensors", false}, Weights{"model.safetensors.index.json", true},
    Weights{"pytorch_model.bin", false}, Weights{"pytorch_model.bin.index.json", true}};

/// Formats of one file each, in the order in which they are looked for; the ends of what goes with such a
/// file.
struct SingleFile {
  const char* kind;
  const char* suffix;
  bool has_all;  ///< tokenizer and configuration are in the file
  std::vector<const char*> companions;
};
const std::vector<SingleFile>& single_files() {
  static const std::vector<SingleFile> kinds = {{"GGUF", ".gguf", true, {}},
                                                {"ONNX", ".onnx", false, {"_data", "_data_*", ".data"}}};
  return kinds;
}

/// Names that hold weights, whether anything here reads them or not: for sentences.
constexpr std::array kWeightsOfAnyKind = {"*.safetensors", "*.bin",  "*.h5",   "*.msgpack", "*.pt", "*.pth",
                                          "*.ckpt",        "*.gguf", "*.onnx", "*.tflite",  "*.ot"};

constexpr size_t kListed = 40, kModules = 64;

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash + 1);
}

bool matches(const std::string& path, const char* pattern, int flags = FNM_PATHNAME) {
  return ::fnmatch(pattern, path.c_str(), flags) == 0;
}

std::string size_text(uint64_t bytes) {
  if (bytes == 0) return "size unknown";
  const double megabytes = static_cast<double>(bytes) / 1e6;
  return megabytes < 1000 ? fmt::format("{:.3g} MB", megabytes) : fmt::format("{:.3g} GB", megabytes / 1000);
}

std::string listed(const std::vector<const HubFile*>& files) {
  std::vector<std::string> lines;
  for (const HubFile* file : files) {
    if (lines.size() == kListed) break;
    lines.push_back(fmt::format("{} ({})", file->path, size_text(file->bytes)));
  }
  if (files.size() > kListed) lines.push_back(fmt::format("and {} more", files.size() - kListed));
  return fmt::format("{}", fmt::join(lines, ", "));
}

/// "-00002-of-00005" before the suffix of a part; the length of that, or 0.
size_t part_mark(std::string_view stem) {
  constexpr std::string_view kForm = "-00000-of-00000";
  if (stem.size() <= kForm.size()) return 0;
  const std::string_view mark = stem.substr(stem.size() - kForm.size());
  for (size_t i = 0; i < kForm.size(); ++i) {
    const bool fits = kForm[i] == '0' ? mark[i] >= '0' && mark[i] <= '9' : mark[i] == kForm[i];
    if (!fits) return 0;
  }
  return kForm.size();
}

/// The name without suffix and part.
std::string stem_of(const std::string& path, const SingleFile& kind) {
  const std::string stem = path.substr(0, path.size() - std::string_view(kind.suffix).size());
  return stem.substr(0, stem.size() - part_mark(stem));
}

/// Files of one key are the parts of one model.
std::string key_of(const std::string& path, const SingleFile& kind) {
  const std::string stem = stem_of(path, kind);
  constexpr size_t kNumber = std::string_view("-00000").size();
  const bool part = stem.size() + std::string_view(kind.suffix).size() != path.size();
  return part ? stem + path.substr(stem.size() + kNumber) : path;
}

std::vector<const HubFile*> files_with_weights(const HubFiles& hub) {
  std::vector<const HubFile*> found;
  for (const HubFile& file : hub.files) {
    const bool weights = std::any_of(kWeightsOfAnyKind.begin(), kWeightsOfAnyKind.end(),
                                     [&](const char* pattern) { return matches(file.path, pattern, 0); });
    if (weights) found.push_back(&file);
  }
  return found;
}

class Chooser {
 public:
  explicit Chooser(const HubFiles& hub) : hub_(hub) {}

  ModelFiles folder() {
    std::vector<std::string> folders = {""};
    if (hub_.find("modules.json") != nullptr) add_modules(folders);
    bool weights = false;
    for (const std::string& folder : folders) {
      describe(folder);
      weights |= add_weights(folder);
    }
    return weights ? chosen_ : ModelFiles();
  }

  /// The one file of a kind; nothing when there is none.
  ModelFiles only_file(const SingleFile& kind) {
    std::set<std::string> keys;
    std::vector<const HubFile*> all;
    for (const HubFile& file : hub_.files) {
      if (!file.path.ends_with(kind.suffix)) continue;
      keys.insert(key_of(file.path, kind));
      all.push_back(&file);
    }
    if (keys.empty()) return {};
    if (keys.size() > 1) {
      fail("{}: has {} {} files; name one as {}:FILE, of {}", hub_.repository, all.size(), kind.kind,
           hub_.repository, listed(all));
    }
    return single(*all.front(), kind);
  }

  ModelFiles named(const std::string& wanted) {
    if (const HubFile* file = hub_.find(wanted)) {
      for (const SingleFile& kind : single_files()) {
        if (wanted.ends_with(kind.suffix)) return single(*file, kind);
      }
      describe("");
      describe(folder_of(wanted));
      add(wanted);
      chosen_.model = wanted;
      return chosen_;
    }
    return by_ending(wanted);
  }

 private:
  void add(const std::string& path) {
    if (added_.insert(path).second) chosen_.paths.push_back(path);
  }

  void describe(const std::string& folder) {
    for (const char* pattern : kDescriptions) {
      for (const HubFile& file : hub_.files) {
        if (!file.path.starts_with(folder)) continue;
        if (matches(file.path.substr(folder.size()), pattern)) add(file.path);
      }
    }
  }

  /// The folders of the modules of sentence-transformers.
  void add_modules(std::vector<std::string>& folders) {
    const auto path = hub_.fetch("modules.json");
    const nlohmann::json modules = read_json_file(path);
    if (!modules.is_array() || modules.size() > kModules) {
      fail("{}: is not a list of {} modules or fewer; pull the model again", path.string(), kModules);
    }
    for (const auto& item : modules) {
      const std::string folder = JsonView(&item, path.string()).text("path").value_or("");
      if (folder.empty()) continue;
      if (!is_inner_path(folder)) fail("{}: '{}' is no folder of the repository", path.string(), folder);
      folders.push_back(folder + "/");
    }
  }

  bool add_weights(const std::string& folder) {
    for (const Weights& weights : kWeights) {
      const std::string path = folder + weights.name;
      if (hub_.find(path) == nullptr) continue;
      add(path);
      if (weights.index) add_shards(path);
      return true;
    }
    return false;
  }

  void add_shards(const std::string& index) {
    const auto path = hub_.fetch(index);
    const nlohmann::json json = read_json_file(path);
    const nlohmann::json* map = JsonView(&json, path.string()).find("weight_map");
    if (map == nullptr || !map->is_object())
      fail("{}: has no weight_map; pull the model again", path.string());
    std::set<std::string> shards;
    for (const auto& [tensor, shard] : map->items()) {
      if (!shard.is_string()) {
        fail("{}: the shard of {} is no name; pull the model again", path.string(), tensor);
      }
      shards.insert(folder_of(index) + shard.get<std::string>());
    }
    for (const std::string& shard : shards) {
      if (hub_.find(shard) == nullptr) {
        fail("{}: {} names the shard {}, which is not there; {}", hub_.repository, index, shard, hub_.cure);
      }
      add(shard);
    }
  }

  /// A file with its parts, companions and what describes it. Of parts the first is opened.
  ModelFiles single(const HubFile& file, const SingleFile& kind) {
    if (!kind.has_all) {
      describe("");
      describe(folder_of(file.path));
    } else if (hub_.find("README.md") != nullptr) {
      add("README.md");
    }
    const std::string key = key_of(file.path, kind);
    std::set<std::string> parts;
    for (const HubFile& other : hub_.files) {
      if (other.path.ends_with(kind.suffix) && key_of(other.path, kind) == key) parts.insert(other.path);
    }
    chosen_.model = *parts.begin();
    for (const std::string& part : parts) add(part);
    for (const HubFile& other : hub_.files) {
      for (const char* companion : kind.companions) {
        const bool belongs = other.path.starts_with(file.path);
        if (belongs && matches(other.path.substr(file.path.size()), companion)) add(other.path);
      }
    }
    return chosen_;
  }

  ModelFiles by_ending(const std::string& wanted) {
    const SingleFile& gguf = single_files().front();
    const std::string ending = lower_ascii(wanted);
    std::map<std::string, const HubFile*> found;
    for (const HubFile& file : hub_.files) {
      if (!file.path.ends_with(gguf.suffix)) continue;
      const std::string stem = "/" + lower_ascii(stem_of(file.path, gguf));
      if (!stem.ends_with(ending) || stem.size() == ending.size()) continue;
      const char before = stem[stem.size() - ending.size() - 1];
      if (std::string_view("-._/").find(before) != std::string_view::npos)
        found.emplace(key_of(file.path, gguf), &file);
    }
    if (found.size() == 1) return single(*found.begin()->second, gguf);
    if (found.size() > 1) {
      std::vector<const HubFile*> several;
      for (const auto& [key, file] : found) several.push_back(file);
      fail("{}: {} ends the name of several files; name one of {}", hub_.repository, wanted, listed(several));
    }
    const auto weights = files_with_weights(hub_);
    fail("{}: has no file {}; {}", hub_.repository, wanted,
         weights.empty() ? "nor any weights" : "its weights are " + listed(weights));
  }

  const HubFiles& hub_;
  ModelFiles chosen_;
  std::set<std::string> added_;
};

}  // namespace

const HubFile* HubFiles::find(const std::string& path) const {
  const auto found =
      std::find_if(files.begin(), files.end(), [&](const HubFile& file) { return file.path == path; });
  return found == files.end() ? nullptr : &*found;
}

ModelFiles choose_model_files(const HubFiles& hub, const std::string& file) {
  if (!file.empty()) return Chooser(hub).named(file);
  if (ModelFiles chosen = Chooser(hub).folder(); !chosen.paths.empty()) return chosen;
  for (const SingleFile& kind : single_files()) {
    if (ModelFiles chosen = Chooser(hub).only_file(kind); !chosen.paths.empty()) return chosen;
  }
  const auto others = files_with_weights(hub);
  if (others.empty()) fail("{}: holds no weights; {}", hub.repository, hub.cure);
  fail("{}: holds no weights under a name that is known; name a file as {}:FILE, of {}", hub.repository,
       hub.repository, listed(others));
}

std::vector<std::string> matching_files(const HubFiles& hub, const std::vector<std::string>& patterns) {
  std::vector<std::string> paths;
  for (const HubFile& file : hub.files) {
    const bool wanted = std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
      return matches(file.path, pattern.c_str(), 0);
    });
    if (wanted) paths.push_back(file.path);
  }
  if (!paths.empty()) return paths;
  std::vector<const HubFile*> all;
  for (const HubFile& file : hub.files) all.push_back(&file);
  fail("{}: no file matches {}; it has {}", hub.repository, fmt::join(patterns, ", "), listed(all));
}

bool is_inner_path(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos || path.find('\\') != std::string::npos)
    return false;
  size_t begin = 0;
  while (begin <= path.size()) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = std::string_view(path).substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace wattle::inline pull
