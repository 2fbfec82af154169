#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "file/metadata.h"
#include "file/model_file.h"

namespace wattle {

/// What a tensor of a Hugging Face folder becomes under its GGUF name.
enum class Change {
  kNone,
  kInterleaveQueries,  ///< rows of each head from halves to pairs, as llama.cpp rotates them
  kInterleaveKeys,
  kAddOne,  ///< Gemma stores its norms' weights minus 1
};

/// One tensor name, without ".weight" or ".bias", {} for the number of the layer.
struct NameRule {
  std::string_view from, to;
  Change change = Change::kNone;
};

/// One number of config.json and the GGUF key (without the architecture) that it becomes.
struct KeyRule {
  std::string_view from, to;
  enum Kind { kInteger, kFloat } kind = kInteger;
  bool required = true;
};

/// A word of config.json that decides how the model computes, and the only value known here.
struct ExpectedWord {
  std::string_view key, value;
};

/// How one `model_type` of Hugging Face is presented in GGUF's vocabulary: everything about it is data, but
/// what needs arithmetic (`finish`).
struct HfFamily {
  std::string_view model_type;
  std::string_view architecture;
  std::span<const std::string_view> prefixes;  ///< wrappers in front of tensor names
  std::span<const NameRule> names;
  std::span<const std::string_view> unused;  ///< beginnings of names that the family does not compute with
  std::span<const KeyRule> keys;
  std::span<const ExpectedWord> expected;
  bool tied_by_default = false;  ///< config.json without tie_word_embeddings
  void (*finish)(const JsonView& config, ModelFile::Contents& contents) = nullptr;
};

/// Error naming the model types known here.
const HfFamily& hf_family(const std::string& model_type, const std::string& origin);

/// The GGUF name of a tensor and what is to be done to it; `name` is empty for a tensor that the family does
/// not use. Error for one that has no place in the family.
struct MappedName {
  std::string name;
  Change change = Change::kNone;
};
MappedName gguf_name(const HfFamily& family, std::string_view hf_name, bool tied, const std::string& origin);

/// Fills contents.metadata from config.json: architecture, the family's keys, the checks of what is expected.
void read_hf_config(const HfFamily& family, const JsonView& config, ModelFile::Contents& contents);

}  // namespace wattle
