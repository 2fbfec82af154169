#include <algorithm>
#include <array>

#include <wattle/error.h>

#include "file/hf_steps.h"
#include "file/hf_vocabulary.h"
#include "file/readers.h"

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kWordStart = "\u2581";

struct SpecialToken {
  const char* name;  ///< in tokenizer_config.json and special_tokens_map.json; with _id in config.json
  const char* gguf;
};
constexpr std::array<SpecialToken, 7> kSpecial{{{"bos_token", "tokenizer.ggml.bos_token_id"},
                                                {"eos_token", "tokenizer.ggml.eos_token_id"},
                                                {"unk_token", "tokenizer.ggml.unknown_token_id"},
                                                {"sep_token", "tokenizer.ggml.seperator_token_id"},
                                                {"pad_token", "tokenizer.ggml.padding_token_id"},
                                                {"cls_token", "tokenizer.ggml.cls_token_id"},
                                                {"mask_token", "tokenizer.ggml.mask_token_id"}}};

json optional_file(const fs::path& path) {
  return fs::exists(path) ? read_json_file(path) : json();
}

void set_special_tokens(const JsonView& tokenizer_config, const JsonView& special_map, const JsonView& config,
                        HfVocabulary& vocabulary, Metadata& metadata) {
  for (const SpecialToken& special : kSpecial) {
    std::string text = hf_token_text(tokenizer_config, special.name);
    if (text.empty()) text = hf_token_text(special_map, special.name);
    std::optional<int64_t> id = text.empty() ? std::nullopt : vocabulary.find(text);
    const json* number = config.find(std::string(special.name) + "_id");
    // Models with several ends of a text list them in config.json; the tokenizer names the one that counts.
    if (!id && text.empty() && number != nullptr && number->is_number_unsigned()) id = number->get<int64_t>();
    // Configurations keep ids of a larger vocabulary than the model's.
    if (!id || *id < 0 || *id >= static_cast<int64_t>(vocabulary.tokens.size())) continue;
    TokenKind& kind = vocabulary.kinds[static_cast<size_t>(*id)];
    if (kind == TokenKind::kNormal) {
      kind = TokenKind::kControl;
      vocabulary.steps["added_tokens"].push_back({{"id", *id},
                                                  {"content", vocabulary.tokens[static_cast<size_t>(*id)]},
                                                  {"special", true},
                                                  {"normalized", false}});
    }
    metadata.set(special.gguf, Value::of(*id));
  }
}

/// BERT's vocabulary marks continuations with ##; llama.cpp's marks the beginnings of words instead.
void mark_word_starts(HfVocabulary& vocabulary) {
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.kinds[id] != TokenKind::kNormal) continue;
    std::string& token = vocabulary.tokens[id];
    token = token.starts_with("##") ? token.substr(2) : std::string(kWordStart) + token;
  }
}

/// Rows of the embedding without a token (tables are padded to round sizes) get a name that no text can
/// match.
void fill_gaps(int64_t rows, const std::string& origin, HfVocabulary& vocabulary) {
  if (rows < static_cast<int64_t>(vocabulary.tokens.size())) {
    fail("{}: the tokenizer has {} tokens and the model an embedding for {}; get the files of one model",
         origin, vocabulary.tokens.size(), rows);
  }
  if (rows > 4'000'000)
    fail("{}: an embedding of {} rows is not possible; get the model again", origin, rows);
  if (rows > static_cast<int64_t>(vocabulary.tokens.size())) {
    vocabulary.set(rows - 1, {}, TokenKind::kUnused, origin);
  }
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.kinds[id] == TokenKind::kUnused && vocabulary.tokens[id].empty()) {
      vocabulary.tokens[id] = fmt::format("[PAD{}]", id);
    }
  }
}

/// How many tokens the model has vectors for: rows of the embedding, or what a list of each token's row says.
std::optional<int64_t> tokens_of(const std::vector<Tensor>& tensors) {
  for (const std::string_view name : {"token_row.weight", "token_embd.weight"}) {
    const auto found = std::ranges::find(tensors, name, &Tensor::name);
    if (found != tensors.end()) return name == "token_row.weight" ? found->elements() : found->rows();
  }
  return std::nullopt;
}

std::string file_text(const fs::path& path) {
  const MappedFile mapped(path);
  return std::string(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
}

void set_named_template(std::string_view name, const std::string& text, Metadata& metadata) {
  std::string key = "tokenizer.chat_template";
  if (name != "default") key.append(".").append(name);
  metadata.set(std::move(key), Value::of(text));
}

/// The `chat_template` of a JSON file: one text, or a list of named ones.
void set_chat_templates(const JsonView& file, Metadata& metadata) {
  const json* value = file.find("chat_template");
  if (value == nullptr) return;
  if (value->is_string()) return set_named_template("default", value->get<std::string>(), metadata);
  if (!value->is_array()) fail("{}: chat_template is neither a text nor a list; correct it", file.origin());
  for (const json& entry : *value) {
    const JsonView named(&entry, file.origin());
    const auto name = named.text("name"), text = named.text("template");
    if (!name || !text)
      fail("{}: a chat template of the list has no name or no template; correct it", file.origin());
    set_named_template(*name, *text, metadata);
  }
}

/// In the order in which transformers lets a later file replace an earlier one.
void set_chat_template(const fs::path& folder, const JsonView& tokenizer_config, Metadata& metadata) {
  const json processor = optional_file(folder / "chat_template.json");
  set_chat_templates(JsonView(&processor, (folder / "chat_template.json").string()), metadata);
  set_chat_templates(tokenizer_config, metadata);
  if (const fs::path more = folder / "additional_chat_templates"; fs::is_directory(more)) {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(more)) {
      if (entry.path().extension() == ".jinja") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) set_named_template(file.stem().string(), file_text(file), metadata);
  }
  if (const fs::path file = folder / "chat_template.jinja"; fs::exists(file)) {
    set_named_template("default", file_text(file), metadata);
  }
}

/// Steps of Sentence Transformers around the tokenizer.
void set_sentence_keys(const fs::path& folder, const JsonView& tokenizer_config, HfVocabulary& vocabulary,
                       Metadata& metadata) {
  const json parsed = optional_file(folder / "sentence_bert_config.json");
  const JsonView sentence(&parsed, (folder / "sentence_bert_config.json").string());
  // Sentence Transformers lowers texts itself.
  if (sentence.flag("do_lower_case").value_or(false)) {
    json normalizers = json::array({{{"type", "Lowercase"}}, vocabulary.steps["normalizer"]});
    vocabulary.steps["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}};
  }
  // Texts are cut here, earlier than the positions end: by Sentence Transformers, else by the tokenizer, of
  // which those without a limit state one that no text reaches.
  constexpr int64_t kNoLimit = int64_t{1} << 30;
  auto length = sentence.integer("max_seq_length");
  if (!length) {
    const double stated = tokenizer_config.number("model_max_length").value_or(0);
    if (stated >= 1 && stated < static_cast<double>(kNoLimit)) length = static_cast<int64_t>(stated);
  }
  if (length && *length > 0) metadata.set("tokenizer.wattle.max_length", Value::of(*length));
}

void set_wordpiece_keys(const HfVocabulary& vocabulary, Metadata& metadata) {
  // llama.cpp begins every text with bos; BERT calls that token cls.
  const auto cls = metadata.integer("tokenizer.ggml.cls_token_id");
  if (cls && !metadata.integer("tokenizer.ggml.bos_token_id")) {
    metadata.set("tokenizer.ggml.bos_token_id", Value::of(*cls));
  }
  const json& normalizer = vocabulary.steps["normalizer"];
  const JsonView bert(&normalizer, metadata.origin());
  const bool lowercase = bert.flag("lowercase").value_or(true);
  // llama.cpp's keys.
  metadata.set("tokenizer.ggml.normalizer.lowercase", Value::of(lowercase));
  metadata.set("tokenizer.ggml.normalizer.strip_accents",
               Value::of(bert.flag("strip_accents").value_or(lowercase)));
}

std::vector<int64_t> numbers(const std::vector<TokenKind>& kinds) {
  std::vector<int64_t> values;
  values.reserve(kinds.size());
  for (const TokenKind kind : kinds) values.push_back(static_cast<int64_t>(kind));
  return values;
}

/// Llama's class and its kin put the tokens that tokenizer_config.json asks for, whatever the template of
/// tokenizer.json.
void rebuild_template(const JsonView& tokenizer_config, const Metadata& metadata, HfVocabulary& vocabulary) {
  const std::string name = tokenizer_config.text("tokenizer_class").value_or("");
  const bool obeys = name.starts_with("Llama") || name.starts_with("CodeLlama") || name.starts_with("Gemma");
  const auto add_bos = tokenizer_config.flag("add_bos_token"),
             add_eos = tokenizer_config.flag("add_eos_token");
  if (!obeys || (!add_bos && !add_eos)) return;
  const auto bos = metadata.integer("tokenizer.ggml.bos_token_id"),
             eos = metadata.integer("tokenizer.ggml.eos_token_id");
  const auto text = [&](const std::optional<int64_t>& id) {
    return vocabulary.tokens[static_cast<size_t>(*id)];
  };
  vocabulary.add_bos = add_bos.value_or(true);
  vocabulary.add_eos = add_eos.value_or(false);
  if ((*vocabulary.add_bos && !bos) || (*vocabulary.add_eos && !eos)) {
    fail("{}: asks for a token at the beginning or end of a text and names none; correct it",
         tokenizer_config.origin());
  }
  StepTemplate parts(vocabulary, tokenizer_config.origin());
  for (const int which : {0, 1}) {
    if (*vocabulary.add_bos) parts.token(text(bos), which);
    parts.text(which == 0 ? "A" : "B", which);
    if (*vocabulary.add_eos) parts.token(text(eos), which);
    if (which == 0) parts.end_of_single();
  }
  vocabulary.steps["post_processor"] = parts.done();
}

void set_flags(const HfVocabulary& vocabulary, Metadata& metadata) {
  const auto set_flag = [&](const char* key, std::optional<bool> value) {
    if (value) metadata.set(key, Value::of(*value));
  };
  set_flag("tokenizer.ggml.add_bos_token", vocabulary.add_bos);
  set_flag("tokenizer.ggml.add_eos_token", vocabulary.add_eos);
  set_flag("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix);
  set_flag("tokenizer.ggml.remove_extra_whitespaces", vocabulary.remove_extra_whitespaces);
  if (vocabulary.unknown && !metadata.integer("tokenizer.ggml.unknown_token_id")) {
    metadata.set("tokenizer.ggml.unknown_token_id", Value::of(*vocabulary.unknown));
  }
}

void set_lists(HfVocabulary vocabulary, Metadata& metadata) {
  if (!vocabulary.scores.empty()) {
    vocabulary.scores.resize(vocabulary.tokens.size(), 0);
    metadata.set("tokenizer.ggml.scores", Value::of(std::move(vocabulary.scores)));
  }
  metadata.set("tokenizer.ggml.tokens", Value::of(std::move(vocabulary.tokens)));
  metadata.set("tokenizer.ggml.token_type", Value::of(numbers(vocabulary.kinds)));
  if (!vocabulary.merges.empty())
    metadata.set("tokenizer.ggml.merges", Value::of(std::move(vocabulary.merges)));
  if (!vocabulary.character_map.empty()) {
    std::vector<int64_t> bytes;
    for (const char byte : vocabulary.character_map) bytes.push_back(static_cast<uint8_t>(byte));
    metadata.set("tokenizer.ggml.precompiled_charsmap", Value::of(std::move(bytes), ValueType::kU8));
  }
  metadata.set("tokenizer.wattle.pipeline",
               Value::of(vocabulary.steps.dump(-1, ' ', false, json::error_handler_t::replace)));
}

}  // namespace

void read_hf_tokenizer(const fs::path& folder, const JsonView& config, ModelFile::Contents& contents) {
  const json parsed_config = optional_file(folder / "tokenizer_config.json");
  const json parsed_map = optional_file(folder / "special_tokens_map.json");
  const JsonView tokenizer_config(&parsed_config, (folder / "tokenizer_config.json").string());
  const JsonView special_map(&parsed_map, (folder / "special_tokens_map.json").string());

  HfVocabulary vocabulary = read_hf_vocabulary(folder, tokenizer_config, special_map, config);
  Metadata& metadata = contents.metadata;
  if (vocabulary.model.empty()) {
    contents.notes.push_back(
        "the folder has no tokenizer files: the model can be converted and measured, not run on texts");
    return;
  }
  if (const auto tokens = tokens_of(contents.tensors)) fill_gaps(*tokens, folder.string(), vocabulary);
  metadata.set("tokenizer.ggml.model", Value::of(vocabulary.model));
  if (!vocabulary.pre.empty()) metadata.set("tokenizer.ggml.pre", Value::of(vocabulary.pre));
  set_special_tokens(tokenizer_config, special_map, config, vocabulary, metadata);
  if (vocabulary.model == "bert") {
    set_wordpiece_keys(vocabulary, metadata);
    mark_word_starts(vocabulary);
  }
  set_sentence_keys(folder, tokenizer_config, vocabulary, metadata);
  if (fs::exists(folder / "tokenizer.json")) rebuild_template(tokenizer_config, metadata, vocabulary);
  set_flags(vocabulary, metadata);
  set_lists(std::move(vocabulary), metadata);
  set_chat_template(folder, tokenizer_config, metadata);
}

}  // namespace wattle::inline file
