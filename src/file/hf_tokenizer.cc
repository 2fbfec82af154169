#include <algorithm>
#include <array>

#include <wattle/error.h>

#include "file/hf_vocabulary.h"
#include "file/readers.h"

namespace wattle {
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

/// A token given as its text or as an object with its `content`.
std::string token_text(const JsonView& file, const char* name) {
  const json* value = file.find(name);
  if (value == nullptr) return {};
  return value->is_object() ? file.child(name).text("content").value_or("") : file.text(name).value_or("");
}

void set_special_tokens(const JsonView& tokenizer_config, const JsonView& special_map, const JsonView& config,
                        HfVocabulary& vocabulary, Metadata& metadata) {
  for (const SpecialToken& special : kSpecial) {
    std::string text = token_text(tokenizer_config, special.name);
    if (text.empty()) text = token_text(special_map, special.name);
    std::optional<int64_t> id = text.empty() ? std::nullopt : vocabulary.find(text);
    const json* number = config.find(std::string(special.name) + "_id");
    // Models with several ends of a text list them in config.json; the tokenizer names the one that counts.
    if (!id && text.empty() && number != nullptr && number->is_number_unsigned()) id = number->get<int64_t>();
    if (!id) continue;
    if (*id < 0 || *id >= static_cast<int64_t>(vocabulary.tokens.size())) {
      fail("{}: {} has the id {} and the vocabulary has {} tokens; correct config.json", config.origin(),
           special.name, *id, vocabulary.tokens.size());
    }
    TokenKind& kind = vocabulary.kinds[static_cast<size_t>(*id)];
    if (kind == TokenKind::kNormal) kind = TokenKind::kControl;
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

void set_wordpiece_keys(const fs::path& folder, const HfVocabulary& vocabulary, Metadata& metadata) {
  // llama.cpp begins every text with bos; BERT calls that token cls.
  const auto cls = metadata.integer("tokenizer.ggml.cls_token_id");
  if (cls && !metadata.integer("tokenizer.ggml.bos_token_id")) {
    metadata.set("tokenizer.ggml.bos_token_id", Value::of(*cls));
  }
  const json parsed = optional_file(folder / "sentence_bert_config.json");
  const JsonView sentence(&parsed, (folder / "sentence_bert_config.json").string());
  const bool lowercase = vocabulary.lowercase || sentence.flag("do_lower_case").value_or(false);
  metadata.set("tokenizer.wattle.lowercase", Value::of(lowercase));
  metadata.set("tokenizer.wattle.strip_accents", Value::of(vocabulary.strip_accents));
  // Sentence Transformers cuts texts here, earlier than the positions end.
  if (const auto length = sentence.integer("max_seq_length"); length && *length > 0) {
    metadata.set("tokenizer.wattle.max_length", Value::of(*length));
  }
}

std::vector<int64_t> numbers(const std::vector<TokenKind>& kinds) {
  std::vector<int64_t> values;
  values.reserve(kinds.size());
  for (const TokenKind kind : kinds) values.push_back(static_cast<int64_t>(kind));
  return values;
}

}  // namespace

void read_hf_tokenizer(const fs::path& folder, const JsonView& config, ModelFile::Contents& contents) {
  const json parsed_config = optional_file(folder / "tokenizer_config.json");
  const json parsed_map = optional_file(folder / "special_tokens_map.json");
  const JsonView tokenizer_config(&parsed_config, (folder / "tokenizer_config.json").string());
  const JsonView special_map(&parsed_map, (folder / "special_tokens_map.json").string());

  HfVocabulary vocabulary = read_hf_vocabulary(folder, tokenizer_config);
  Metadata& metadata = contents.metadata;
  if (vocabulary.model.empty()) {
    contents.notes.push_back(
        "the folder has no tokenizer files: the model can be converted and measured, not run on texts");
    return;
  }
  for (const Tensor& tensor : contents.tensors) {
    if (tensor.name == "token_embd.weight") fill_gaps(tensor.rows(), folder.string(), vocabulary);
  }
  metadata.set("tokenizer.ggml.model", Value::of(vocabulary.model));
  if (!vocabulary.pre.empty()) metadata.set("tokenizer.ggml.pre", Value::of(vocabulary.pre));
  set_special_tokens(tokenizer_config, special_map, config, vocabulary, metadata);
  if (vocabulary.model == "bert") {
    mark_word_starts(vocabulary);
    set_wordpiece_keys(folder, vocabulary, metadata);
  }
  metadata.set("tokenizer.ggml.tokens", Value::of(std::move(vocabulary.tokens)));
  if (!vocabulary.scores.empty())
    metadata.set("tokenizer.ggml.scores", Value::of(std::move(vocabulary.scores)));
  metadata.set("tokenizer.ggml.token_type", Value::of(numbers(vocabulary.kinds)));
  if (!vocabulary.merges.empty())
    metadata.set("tokenizer.ggml.merges", Value::of(std::move(vocabulary.merges)));
  const auto set_flag = [&](const char* key, std::optional<bool> value) {
    if (value) metadata.set(key, Value::of(*value));
  };
  const auto add_bos = tokenizer_config.flag("add_bos_token");
  const auto add_eos = tokenizer_config.flag("add_eos_token");
  set_flag("tokenizer.ggml.add_bos_token", add_bos ? add_bos : vocabulary.add_bos);
  set_flag("tokenizer.ggml.add_eos_token", add_eos ? add_eos : vocabulary.add_eos);
  set_flag("tokenizer.ggml.add_space_prefix", vocabulary.add_space_prefix);
  set_chat_template(folder, tokenizer_config, metadata);
}

}  // namespace wattle
