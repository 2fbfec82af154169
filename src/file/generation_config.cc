#include <limits>
#include <string>
#include <vector>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "file/readers.h"

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// Names of transformers' GenerationConfig, by the type of their values.
constexpr const char* kCounts[] = {"max_length",
                                   "max_new_tokens",
                                   "min_length",
                                   "min_new_tokens",
                                   "num_beams",
                                   "no_repeat_ngram_size",
                                   "encoder_no_repeat_ngram_size",
                                   "top_k",
                                   "decoder_start_token_id",
                                   "forced_bos_token_id"};
constexpr const char* kNumbers[] = {"length_penalty", "repetition_penalty", "temperature",
                                    "top_p",          "typical_p",          "min_p"};
constexpr const char* kIds[] = {"eos_token_id", "forced_eos_token_id", "suppress_tokens",
                                "begin_suppress_tokens"};

/// What changes the result and is not known here, with the value that changes nothing.
struct Unknown {
  const char* key;
  double neutral;
};
constexpr Unknown kUnknown[] = {{"encoder_repetition_penalty", 1},
                                {"diversity_penalty", 0},
                                {"num_beam_groups", 1},
                                {"penalty_alpha", 0},
                                {"epsilon_cutoff", 0},
                                {"eta_cutoff", 0},
                                {"guidance_scale", 1},
                                {"exponential_decay_length_penalty", 0},
                                {"force_words_ids", 0},
                                {"constraints", 0},
                                {"renormalize_logits", 0}};

int64_t token_of(const json& value, const JsonView& config, const char* key) {
  if (!value.is_number_integer() || value.get<int64_t>() < 0 ||
      value.get<int64_t>() > std::numeric_limits<int32_t>::max()) {
    fail("{}: {} holds {}, which is no token's id; correct it", config.origin(), key, value.dump());
  }
  return value.get<int64_t>();
}

const json* list_of(const JsonView& config, const char* key) {
  const json* value = config.find(key);
  if (value != nullptr && !value->is_array()) {
    fail("{}: {} is not a list; correct it", config.origin(), key);
  }
  return value;
}

/// Lists of lists, one behind the other, each after its length.
std::vector<int64_t> flattened(const json& lists, const JsonView& config, const char* key) {
  std::vector<int64_t> flat;
  for (const json& list : lists) {
    if (!list.is_array()) fail("{}: {} is not a list of lists; correct it", config.origin(), key);
    flat.push_back(static_cast<int64_t>(list.size()));
    for (const json& value : list) flat.push_back(token_of(value, config, key));
  }
  return flat;
}

void read_biases(const JsonView& config, const std::string& prefix, Metadata& metadata) {
  const json* biases = list_of(config, "sequence_bias");
  if (biases == nullptr) return;
  json sequences = json::array();
  std::vector<double> values;
  for (const json& pair : *biases) {
    if (!pair.is_array() || pair.size() != 2 || !pair[1].is_number()) {
      fail("{}: sequence_bias is not a list of tokens with their bias; correct it", config.origin());
    }
    sequences.push_back(pair[0]);
    values.push_back(pair[1].get<double>());
  }
  metadata.set(prefix + "sequence_bias_ids", Value::of(flattened(sequences, config, "sequence_bias")));
  metadata.set(prefix + "sequence_bias", Value::of(values));
}

void read_lists(const JsonView& config, const std::string& prefix, Metadata& metadata) {
  for (const char* key : kIds) {
    const json* value = config.find(key);
    if (value == nullptr) continue;
    std::vector<int64_t> ids;
    if (value->is_array()) {
      for (const json& id : *value) ids.push_back(token_of(id, config, key));
    } else if (*value != json(-1)) {  // some write -1 for none
      ids.push_back(token_of(*value, config, key));
    }
    if (!ids.empty()) metadata.set(prefix + key, Value::of(ids));
  }
  for (const char* key : {"bad_words_ids", "forced_decoder_ids"}) {
    const json* lists = list_of(config, key);
    if (lists == nullptr || lists->empty()) continue;
    // A forced position without a token is free.
    json kept = json::array();
    for (const json& list : *lists) {
      if (!(list.is_array() && list.size() == 2 && list[1].is_null())) kept.push_back(list);
    }
    metadata.set(prefix + key, Value::of(flattened(kept, config, key)));
  }
  read_biases(config, prefix, metadata);
}

void read_keys(const JsonView& config, const std::string& prefix, Metadata& metadata) {
  for (const char* key : kCounts) {
    const auto value = config.integer(key);
    if (!value) continue;
    if (*value < 0 || *value > std::numeric_limits<int32_t>::max()) {
      fail("{}: {} is {}, which is no possible count or id; correct it", config.origin(), key, *value);
    }
    metadata.set(prefix + key, Value::of(*value));
  }
  for (const char* key : kNumbers) {
    if (const auto value = config.number(key)) metadata.set(prefix + key, Value::of(*value));
  }
  if (const auto samples = config.flag("do_sample")) metadata.set(prefix + "do_sample", Value::of(*samples));
  if (const json* stop = config.find("early_stopping")) {
    const std::string text = stop->is_boolean() ? (stop->get<bool>() ? "yes" : "no")
                             : *stop == "never" ? "never"
                                                : std::string();
    if (text.empty()) {
      fail("{}: early_stopping is {}, not true, false or \"never\"; correct it", config.origin(),
           stop->dump());
    }
    metadata.set(prefix + "early_stopping", Value::of(text));
  }
  read_lists(config, prefix, metadata);
}

/// What Hugging Face's pipelines use for one of their tasks.
void read_tasks(const JsonView& config, Metadata& metadata) {
  const JsonView tasks = config.child("task_specific_params");
  if (!tasks) return;
  const json* parameters = config.find("task_specific_params");
  for (const auto& [task, values] : parameters->items()) {
    const JsonView view(&values, config.origin());
    const std::string prefix = "wattle.generation.task." + task + ".";
    if (!view) continue;
    read_keys(view, prefix, metadata);
    if (const auto text = view.text("prefix")) metadata.set(prefix + "prefix", Value::of(*text));
  }
}

void note_unknown(const JsonView& config, ModelFile::Contents& contents) {
  std::vector<std::string> keys;
  for (const Unknown& unknown : kUnknown) {
    const json* value = config.find(unknown.key);
    if (value == nullptr || *value == json(unknown.neutral) || *value == json(false)) continue;
    if (value->is_array() && value->empty()) continue;
    keys.emplace_back(unknown.key);
  }
  if (!keys.empty()) {
    contents.notes.push_back(fmt::format("{}: {} not known here, and left out of generation", config.origin(),
                                         fmt::join(keys, ", ")));
  }
}

}  // namespace

void read_generation_config(const fs::path& folder, ModelFile::Contents& contents) {
  const std::string prefix = "wattle.generation.";
  const fs::path path = folder / "generation_config.json", config_path = folder / "config.json";
  const bool has_own = fs::exists(path);
  if (fs::exists(config_path)) {
    const json parsed = read_json_file(config_path);
    const JsonView whole(&parsed, config_path.string());
    // Older models keep all of it here; newer ones the ends of a text and the decoder's first token as well.
    json old = parsed;
    if (has_own) {
      old = json::object();
      for (const char* key : {"eos_token_id", "decoder_start_token_id"}) {
        if (const json* value = whole.find(key)) old[key] = *value;
      }
    }
    if (!old.contains("eos_token_id") && whole.child("text_config").find("eos_token_id") != nullptr) {
      old["eos_token_id"] = *whole.child("text_config").find("eos_token_id");
    }
    const JsonView view(&old, config_path.string());
    read_keys(view, prefix, contents.metadata);
    read_tasks(whole, contents.metadata);
    note_unknown(view, contents);
  }
  if (!has_own) return;
  const json parsed = read_json_file(path);
  const JsonView own(&parsed, path.string());
  read_keys(own, prefix, contents.metadata);
  note_unknown(own, contents);
}

}  // namespace wattle::inline file
