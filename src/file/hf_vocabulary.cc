#include "file/hf_vocabulary.h"

#include <algorithm>
#include <charconv>

#include <wattle/error.h>

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxTokens = 4'000'000;

/// What cuts a text into words in published byte-level BPE tokenizers, and llama.cpp's names for it. `steps`
/// are the types of the pre-tokenizers, those with a pattern with the pattern.
struct NamedSteps {
  std::string_view steps, pre;
};
#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
constexpr NamedSteps kNamedSteps[] = {
    {"ByteLevel", "gpt-2"},
    {"Digits ByteLevel", "smollm"},
    {"Punctuation ByteLevel Digits Split [0-9][0-9][0-9]", "falcon"},
    {"Split " CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES
     " ByteLevel",
     "qwen2"},
    {"Split " CONTRACTIONS R"(|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)" SPACES
     " ByteLevel",
     "llama-bpe"},
    {"Split "
     "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+" CONTRACTIONS
     "?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
     "*" CONTRACTIONS R"(?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES " ByteLevel",
     "gpt-4o"},
    {"Split [^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+"
     "|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*"
     R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES " ByteLevel",
     "tekken"},
    {R"(Split  ?[^(\s|[.,!?…。，、।۔،])]+ ByteLevel)", "bloom"},
};

/// A name that llama.cpp refuses: better than words cut otherwise.
constexpr std::string_view kNoPre = "wattle";

/// The steps of a part, sequences within sequences laid flat.
void lay_flat(const json& part, const char* list, int depth, std::vector<json>& steps) {
  if (!part.is_object() || depth > 8) return;
  const auto inner = part.find(list);
  if (inner == part.end() || !inner->is_array()) {
    steps.push_back(part);
    return;
  }
  for (const json& step : *inner) lay_flat(step, list, depth + 1, steps);
}
std::vector<json> flat_steps(const json& tokenizer, const char* part, const char* list) {
  std::vector<json> steps;
  if (tokenizer.contains(part)) lay_flat(tokenizer.at(part), list, 0, steps);
  return steps;
}
std::string type_of(const json& step) {
  const auto type = step.is_object() ? step.find("type") : step.end();
  return type != step.end() && type->is_string() ? type->get<std::string>() : "";
}

std::string pre_of(const json& tokenizer) {
  std::string shape;
  for (const json& step : flat_steps(tokenizer, "pre_tokenizer", "pretokenizers")) {
    const JsonView view(&step, "");
    shape += (shape.empty() ? "" : " ") + type_of(step);
    const json* const pattern = view.find("pattern");
    if (pattern != nullptr && pattern->is_object() && pattern->contains("Regex") &&
        (*pattern)["Regex"].is_string()) {
      shape += " " + (*pattern)["Regex"].get<std::string>();
    }
    if (view.flag("add_prefix_space").value_or(false)) return std::string(kNoPre);
  }
  for (const NamedSteps& known : kNamedSteps) {
    if (known.steps == shape) return std::string(known.pre);
  }
  return std::string(kNoPre);
}

int64_t id_of(const json& value, const std::string& token, const std::string& origin) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() >= uint64_t{kMaxTokens}) {
    fail("{}: the id of the token \"{}\" is not a number below {}; get the file again", origin, token,
         kMaxTokens);
  }
  return value.get<int64_t>();
}

std::vector<std::string> read_merges(const json* list, const std::string& origin) {
  std::vector<std::string> merges;
  const bool is_list = list != nullptr && list->is_array();
  for (size_t i = 0; is_list && i < list->size(); ++i) {
    const json& merge = (*list)[i];
    if (merge.is_string()) {
      merges.push_back(merge.get<std::string>());
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
    } else {
      fail("{}: merge {} is not a pair of tokens; get the file again", origin, i);
    }
  }
  return merges;
}

bool names_byte(const std::string& token) {
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

void mark_bytes(HfVocabulary& vocabulary) {
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    if (vocabulary.kinds[id] == TokenKind::kNormal && names_byte(vocabulary.tokens[id])) {
      vocabulary.kinds[id] = TokenKind::kByte;
    }
  }
}

void mark_unknown(const std::optional<std::string>& text, HfVocabulary& vocabulary) {
  if (!text) return;
  vocabulary.unknown = vocabulary.find(*text);
  if (vocabulary.unknown) vocabulary.kinds[static_cast<size_t>(*vocabulary.unknown)] = TokenKind::kUnknown;
}

/// llama.cpp joins pieces by scores: those that come first in the merges have the highest.
void score_by_merges(HfVocabulary& vocabulary) {
  vocabulary.scores.assign(vocabulary.tokens.size(), 0);
  double rank = 0;
  for (const std::string& merge : vocabulary.merges) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos) continue;
    const auto id = vocabulary.find(merge.substr(0, space) + merge.substr(space + 1));
    rank -= 1;
    if (id && vocabulary.scores[static_cast<size_t>(*id)] == 0)
      vocabulary.scores[static_cast<size_t>(*id)] = rank;
  }
}

bool has_space_prefix(const json& tokenizer) {
  for (const json& step : flat_steps(tokenizer, "normalizer", "normalizers")) {
    if (type_of(step) == "Prepend") return true;
  }
  for (const json& step : flat_steps(tokenizer, "pre_tokenizer", "pretokenizers")) {
    const JsonView view(&step, "");
    if (type_of(step) == "Metaspace") {
      return view.text("prepend_scheme").value_or("always") != "never" &&
             view.flag("add_prefix_space").value_or(true);
    }
  }
  return false;
}

void read_wordpiece(const JsonView& model, HfVocabulary& vocabulary) {
  set_hf_tokens(model.find("vocab"), model.origin(), vocabulary);
  const auto normalizers = flat_steps(vocabulary.steps, "normalizer", "normalizers");
  const bool bert = normalizers.size() == 1 && type_of(normalizers[0]) == "BertNormalizer" &&
                    model.text("continuing_subword_prefix").value_or("##") == "##";
  vocabulary.model = bert ? "bert" : "wattle.wordpiece";
  mark_unknown(model.text("unk_token"), vocabulary);
}

void read_bpe(const JsonView& model, HfVocabulary& vocabulary) {
  set_hf_tokens(model.find("vocab"), model.origin(), vocabulary);
  vocabulary.merges = read_merges(model.find("merges"), model.origin());
  mark_unknown(model.text("unk_token"), vocabulary);
  const auto words = flat_steps(vocabulary.steps, "pre_tokenizer", "pretokenizers");
  if (model.flag("byte_fallback").value_or(false)) {
    vocabulary.model = "llama";
    vocabulary.pre = "default";
    vocabulary.add_space_prefix = has_space_prefix(vocabulary.steps);
    mark_bytes(vocabulary);
    score_by_merges(vocabulary);
  } else if (!words.empty() && type_of(words.back()) == "ByteLevel") {
    vocabulary.model = "gpt2";
    vocabulary.pre = pre_of(vocabulary.steps);
  } else {
    vocabulary.model = "wattle.bpe";
  }
}

void read_unigram(const JsonView& model, HfVocabulary& vocabulary) {
  const json* const list = model.find("vocab");
  if (list == nullptr || !list->is_array() || list->empty()) {
    fail("{}: has no vocabulary; get the file again", model.origin());
  }
  for (const json& entry : *list) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      fail("{}: token {} is not a text and its score; get the file again", model.origin(),
           vocabulary.tokens.size());
    }
    vocabulary.add(entry[0].get<std::string>(), TokenKind::kNormal, model.origin());
    vocabulary.scores.push_back(entry[1].get<double>());
  }
  vocabulary.model = "t5";
  vocabulary.add_space_prefix = has_space_prefix(vocabulary.steps);
  vocabulary.remove_extra_whitespaces = true;
  if (model.flag("byte_fallback").value_or(false)) mark_bytes(vocabulary);
  const auto unknown = model.integer("unk_id");
  if (!unknown) return;
  if (*unknown < 0 || *unknown >= static_cast<int64_t>(vocabulary.tokens.size())) {
    fail("{}: the unknown token {} is none of the {} there are; get the file again", model.origin(), *unknown,
         vocabulary.tokens.size());
  }
  vocabulary.unknown = unknown;
  vocabulary.kinds[static_cast<size_t>(*unknown)] = TokenKind::kUnknown;
}

/// Files from before the models were named.
std::string type_of_model(const JsonView& model) {
  if (const auto type = model.text("type")) return *type;
  if (model.find("merges") != nullptr) return "BPE";
  if (model.find("unk_id") != nullptr) return "Unigram";
  if (model.find("continuing_subword_prefix") != nullptr) return "WordPiece";
  return model.find("vocab") != nullptr ? "WordLevel" : "nothing";
}

/// Tokens that tokenizer_config.json adds or describes otherwise than tokenizer.json, which it overrules.
void merge_added_tokens(const JsonView& tokenizer_config, json& list) {
  const JsonView added = tokenizer_config.child("added_tokens_decoder");
  if (!added) return;
  for (const auto& [id, token] : tokenizer_config.find("added_tokens_decoder")->items()) {
    json entry = token;
    int64_t number = -1;
    const auto parsed = std::from_chars(id.data(), id.data() + id.size(), number);
    if (!entry.is_object() || parsed.ptr != id.data() + id.size() || number < 0 || number >= kMaxTokens) {
      fail("{}: the added token \"{}\" is not described; get the file again", added.origin(), id);
    }
    entry["id"] = static_cast<uint64_t>(number);
    const auto same = std::find_if(list.begin(), list.end(), [&](const json& old) {
      return old.is_object() && old.contains("id") && old["id"] == entry["id"];
    });
    if (same == list.end()) {
      list.push_back(std::move(entry));
    } else {
      *same = std::move(entry);
    }
  }
}

/// Those that the model's own vocabulary lacks are noted for it.
void read_added_tokens(const json& list, const std::string& origin, HfVocabulary& vocabulary) {
  json& added_only = vocabulary.steps["model"]["added_only"] = json::array();
  for (const json& entry : list) {
    const JsonView token(&entry, origin);
    const auto text = token.text("content");
    const json* id = token.find("id");
    if (!text || id == nullptr)
      fail("{}: an added token lacks its id or content; get the file again", origin);
    const int64_t number = id_of(*id, *text, origin);
    const bool special = token.flag("special").value_or(false);
    if (vocabulary.find(*text) != number) added_only.push_back(number);
    vocabulary.set(number, *text,
                   vocabulary.unknown == number ? TokenKind::kUnknown
                   : special                    ? TokenKind::kControl
                                                : TokenKind::kUserDefined,
                   origin);
  }
}

/// Whether the post-processor puts a special token before or after a single text.
void read_template(HfVocabulary& vocabulary) {
  if (vocabulary.model == "bert") return;  // [CLS] and [SEP] always, and BERT's own keys say so
  vocabulary.add_bos = vocabulary.add_eos = false;
  for (const json& step : flat_steps(vocabulary.steps, "post_processor", "processors")) {
    const std::string type = type_of(step);
    if (type == "BertProcessing" || type == "RobertaProcessing")
      vocabulary.add_bos = vocabulary.add_eos = true;
    const JsonView view(&step, "");
    const json* const single = view.find("single");
    if (type != "TemplateProcessing" || single == nullptr || !single->is_array() || single->empty()) continue;
    vocabulary.add_bos = single->front().is_object() && single->front().contains("SpecialToken");
    vocabulary.add_eos = single->back().is_object() && single->back().contains("SpecialToken");
  }
}

/// transformers builds a tokenizer's class from tokenizer_config.json, and some of what that states overrules
/// the steps.
void overrule(const JsonView& tokenizer_config, json& steps) {
  const auto lower = tokenizer_config.flag("do_lower_case");
  if (steps.contains("normalizer") && type_of(steps["normalizer"]) == "BertNormalizer" && lower) {
    json& normalizer = steps["normalizer"];
    const json* const strip = tokenizer_config.find("strip_accents");
    const json accents = strip == nullptr ? json() : *strip;
    const bool ideographs = tokenizer_config.flag("tokenize_chinese_chars").value_or(true);
    const JsonView old(&normalizer, tokenizer_config.origin());
    if (old.flag("lowercase") != *lower || normalizer.value("strip_accents", json()) != accents ||
        old.flag("handle_chinese_chars") != ideographs) {
      normalizer["lowercase"] = *lower;
      normalizer["strip_accents"] = accents;
      normalizer["handle_chinese_chars"] = ideographs;
    }
  }
  const auto prefix = tokenizer_config.flag("add_prefix_space");
  if (steps.contains("pre_tokenizer") && type_of(steps["pre_tokenizer"]) == "ByteLevel" && prefix) {
    steps["pre_tokenizer"]["add_prefix_space"] = *prefix;
    if (steps.contains("post_processor") && type_of(steps["post_processor"]) == "RobertaProcessing") {
      steps["post_processor"]["add_prefix_space"] = *prefix;
    }
  }
}

HfVocabulary read_tokenizer_json(const fs::path& folder, const JsonView& tokenizer_config) {
  json parsed = read_json_file(folder / "tokenizer.json");
  const std::string origin = (folder / "tokenizer.json").string();
  HfVocabulary vocabulary;
  if (!parsed.is_object() || !parsed.contains("model"))
    fail("{}: describes no model; get the file again", origin);
  json model_json = std::move(parsed["model"]);
  // How long texts may be and what fills them up is for the caller to say, as in transformers.
  for (const char* key : {"model", "version", "truncation", "padding"}) parsed.erase(key);
  vocabulary.steps = std::move(parsed);
  const JsonView model(&model_json, origin);
  const std::string type = type_of_model(model);
  overrule(tokenizer_config, vocabulary.steps);
  if (type == "WordPiece") {
    read_wordpiece(model, vocabulary);
  } else if (type == "BPE") {
    read_bpe(model, vocabulary);
  } else if (type == "Unigram") {
    read_unigram(model, vocabulary);
  } else if (type == "WordLevel") {
    set_hf_tokens(model.find("vocab"), origin, vocabulary);
    vocabulary.model = "wattle.wordlevel";
    mark_unknown(model.text("unk_token"), vocabulary);
  } else {
    fail("{}: a tokenizer of the kind {} is not known here; use another model", origin, type);
  }
  for (const char* key : {"vocab", "merges"}) model_json.erase(key);
  model_json["type"] = type;
  vocabulary.steps["model"] = std::move(model_json);
  json& added = vocabulary.steps["added_tokens"];
  if (!added.is_array()) added = json::array();
  merge_added_tokens(tokenizer_config, added);
  read_added_tokens(added, origin, vocabulary);
  if (!vocabulary.scores.empty()) vocabulary.scores.resize(vocabulary.tokens.size(), 0);
  read_template(vocabulary);
  return vocabulary;
}

}  // namespace

void set_hf_tokens(const json* map, const std::string& origin, HfVocabulary& vocabulary) {
  if (map == nullptr || !map->is_object() || map->empty())
    fail("{}: has no vocabulary; get the file again", origin);
  for (const auto& [token, id] : map->items())
    vocabulary.set(id_of(id, token, origin), token, TokenKind::kNormal, origin);
}

std::string hf_token_text(const JsonView& file, const char* name) {
  const json* value = file.find(name);
  if (value == nullptr) return {};
  return value->is_object() ? file.child(name).text("content").value_or("") : file.text(name).value_or("");
}

void HfVocabulary::set(int64_t id, std::string text, TokenKind kind, const std::string& origin) {
  if (id < 0 || id >= kMaxTokens) {
    fail("{}: the id {} of the token \"{}\" is not below {}; get the file again", origin, id, text,
         kMaxTokens);
  }
  const auto place = static_cast<size_t>(id);
  if (place >= tokens.size()) {
    tokens.resize(place + 1);
    kinds.resize(place + 1, TokenKind::kUnused);
  }
  if (const auto old = ids_.find(tokens[place]); old != ids_.end() && old->second == id) ids_.erase(old);
  // Of two tokens with one text the lower is found.
  const auto [same, is_new] = ids_.emplace(text, id);
  if (!is_new && same->second > id) same->second = id;
  tokens[place] = std::move(text);
  kinds[place] = kind;
}

int64_t HfVocabulary::add(std::string text, TokenKind kind, const std::string& origin) {
  const auto id = static_cast<int64_t>(tokens.size());
  set(id, std::move(text), kind, origin);
  return id;
}

std::optional<int64_t> HfVocabulary::find(const std::string& text) const {
  const auto place = ids_.find(text);
  return place == ids_.end() ? std::nullopt : std::optional(place->second);
}

int64_t HfVocabulary::need(const std::string& text, const std::string& origin) const {
  const auto id = find(text);
  if (!id) fail("{}: the token \"{}\" is not in the vocabulary; get the file again", origin, text);
  return *id;
}

HfVocabulary read_hf_vocabulary(const fs::path& folder, const JsonView& tokenizer_config,
                                const JsonView& special_map, const JsonView& config) {
  if (fs::exists(folder / "tokenizer.json")) return read_tokenizer_json(folder, tokenizer_config);
  return read_slow_tokenizer(folder, tokenizer_config, special_map, config);
}

}  // namespace wattle::inline file
