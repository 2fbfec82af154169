#include "file/hf_vocabulary.h"

#include <algorithm>

#include <wattle/error.h>

#include "base/mapped_file.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxTokens = 4'000'000;

/// Pre-tokenisation patterns of published tokenizers and llama.cpp's names for them.
struct NamedPattern {
  std::string_view pattern, pre;
};
constexpr NamedPattern kPatterns[] = {
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "qwen2"},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     "llama-bpe"},
};

/// The steps of a pre-tokenizer, normalizer or post-processor, which may be one or a sequence.
std::vector<JsonView> steps(const JsonView& tokenizer, const char* part, const char* list) {
  const JsonView whole = tokenizer.child(part);
  if (!whole) return {};
  const json* sequence = whole.find(list);
  if (whole.text("type") != "Sequence" || sequence == nullptr || !sequence->is_array()) return {whole};
  std::vector<JsonView> found;
  for (const json& step : *sequence) found.emplace_back(&step, tokenizer.origin());
  return found;
}

std::string pre_of(const JsonView& tokenizer) {
  bool digits = false;
  std::string pattern;
  std::string shape;  // the kinds of steps, for what is not known
  for (const JsonView& step : steps(tokenizer, "pre_tokenizer", "pretokenizers")) {
    const std::string type = step.text("type").value_or("");
    shape += (shape.empty() ? "" : " + ") + type;
    digits = digits || (type == "Digits" && step.flag("individual_digits").value_or(false));
    if (type == "Split") pattern = step.child("pattern").text("Regex").value_or("");
  }
  if (shape == "ByteLevel") return "gpt-2";
  if (digits && shape == "Digits + ByteLevel") return "smollm";
  for (const NamedPattern& known : kPatterns) {
    if (shape == "Split + ByteLevel" && known.pattern == pattern) return std::string(known.pre);
  }
  fail("{}: the pre-tokenizer ({}{}{}) is not known here; use another model", tokenizer.origin(), shape,
       pattern.empty() ? "" : " with the pattern ", pattern);
}

int64_t id_of(const json& value, const std::string& token, const std::string& origin) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() >= uint64_t{kMaxTokens}) {
    fail("{}: the id of the token \"{}\" is not a number below {}; get the file again", origin, token,
         kMaxTokens);
  }
  return value.get<int64_t>();
}

void set_vocabulary(const json* map, const std::string& origin, HfVocabulary& vocabulary) {
  if (map == nullptr || !map->is_object() || map->empty())
    fail("{}: has no vocabulary; get the file again", origin);
  for (const auto& [token, id] : map->items())
    vocabulary.set(id_of(id, token, origin), token, TokenKind::kNormal, origin);
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

void read_wordpiece(const JsonView& tokenizer, HfVocabulary& vocabulary) {
  const JsonView model = tokenizer.child("model");
  const JsonView normalizer = tokenizer.child("normalizer");
  const bool bert =
      normalizer.text("type").value_or("BertNormalizer") == "BertNormalizer" &&
      normalizer.flag("clean_text").value_or(true) &&
      normalizer.flag("handle_chinese_chars").value_or(true) &&
      tokenizer.child("pre_tokenizer").text("type").value_or("BertPreTokenizer") == "BertPreTokenizer" &&
      model.text("continuing_subword_prefix").value_or("##") == "##" &&
      model.integer("max_input_chars_per_word").value_or(100) == 100;
  if (!bert)
    fail("{}: is a WordPiece tokenizer unlike BERT's, which is not known here; use another model",
         tokenizer.origin());
  vocabulary.model = "bert";
  vocabulary.lowercase = normalizer.flag("lowercase").value_or(true);
  vocabulary.strip_accents = normalizer.flag("strip_accents").value_or(vocabulary.lowercase);
  set_vocabulary(model.find("vocab"), tokenizer.origin(), vocabulary);
}

/// A SentencePiece BPE model in tokenizer.json has no scores: the order of its merges says the same.
void read_sentencepiece_bpe(const JsonView& tokenizer, HfVocabulary& vocabulary) {
  const JsonView model = tokenizer.child("model");
  vocabulary.model = "llama";
  vocabulary.pre = "default";
  vocabulary.add_space_prefix = false;
  for (const JsonView& step : steps(tokenizer, "normalizer", "normalizers")) {
    if (step.text("type") == "Prepend") vocabulary.add_space_prefix = true;
  }
  for (const JsonView& step : steps(tokenizer, "pre_tokenizer", "pretokenizers")) {
    if (step.text("type") != "Metaspace") continue;
    vocabulary.add_space_prefix = step.text("prepend_scheme").value_or("always") != "never" &&
                                  step.flag("add_prefix_space").value_or(true);
  }
  set_vocabulary(model.find("vocab"), tokenizer.origin(), vocabulary);
  vocabulary.scores.assign(vocabulary.tokens.size(), 0);
  double rank = 0;
  for (const std::string& merge : read_merges(model.find("merges"), tokenizer.origin())) {
    const size_t space = merge.find(' ', 1);
    if (space == std::string::npos) continue;
    const auto id = vocabulary.find(merge.substr(0, space) + merge.substr(space + 1));
    rank -= 1;
    if (id && vocabulary.scores[static_cast<size_t>(*id)] == 0)
      vocabulary.scores[static_cast<size_t>(*id)] = rank;
  }
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const std::string& token = vocabulary.tokens[id];
    if (token.size() == 6 && token.starts_with("<0x") && token.ends_with('>'))
      vocabulary.kinds[id] = TokenKind::kByte;
  }
  if (const auto unknown = vocabulary.find(model.text("unk_token").value_or("<unk>"))) {
    vocabulary.kinds[static_cast<size_t>(*unknown)] = TokenKind::kUnknown;
  }
}

void read_added_tokens(const json* list, const std::string& origin, HfVocabulary& vocabulary) {
  for (const json& entry : list == nullptr || !list->is_array() ? json::array() : *list) {
    const JsonView token(&entry, origin);
    const auto text = token.text("content");
    const json* id = token.find("id");
    if (!text || id == nullptr)
      fail("{}: an added token lacks its id or content; get the file again", origin);
    const int64_t number = id_of(*id, *text, origin);
    const bool is_unknown = static_cast<size_t>(number) < vocabulary.kinds.size() &&
                            vocabulary.kinds[static_cast<size_t>(number)] == TokenKind::kUnknown;
    const bool special = token.flag("special").value_or(false);
    vocabulary.set(number, *text,
                   is_unknown ? TokenKind::kUnknown
                   : special  ? TokenKind::kControl
                              : TokenKind::kUserDefined,
                   origin);
  }
}

/// Whether the post-processor puts a special token before or after a single text.
void read_template(const JsonView& tokenizer, HfVocabulary& vocabulary) {
  if (vocabulary.model == "bert") return;  // [CLS] and [SEP] always, and BERT's own keys say so
  vocabulary.add_bos = vocabulary.add_eos = false;
  for (const JsonView& step : steps(tokenizer, "post_processor", "processors")) {
    const json* single = step.find("single");
    if (step.text("type") != "TemplateProcessing" || single == nullptr || !single->is_array() ||
        single->empty()) {
      continue;
    }
    vocabulary.add_bos = single->front().is_object() && single->front().contains("SpecialToken");
    vocabulary.add_eos = single->back().is_object() && single->back().contains("SpecialToken");
  }
}

HfVocabulary read_tokenizer_json(const fs::path& folder) {
  const json parsed = read_json_file(folder / "tokenizer.json");
  const JsonView tokenizer(&parsed, (folder / "tokenizer.json").string());
  const JsonView model = tokenizer.child("model");
  const std::string type = model.text("type").value_or(model.find("merges") != nullptr ? "BPE" : "nothing");
  HfVocabulary vocabulary;
  if (type == "WordPiece") {
    read_wordpiece(tokenizer, vocabulary);
  } else if (type == "BPE" && model.flag("byte_fallback").value_or(false)) {
    if (fs::exists(folder / "tokenizer.model")) {
      const MappedFile file(folder / "tokenizer.model");
      vocabulary = read_sentencepiece_model(file.bytes(), (folder / "tokenizer.model").string());
    } else {
      read_sentencepiece_bpe(tokenizer, vocabulary);
    }
  } else if (type == "BPE") {
    vocabulary.model = "gpt2";
    vocabulary.pre = pre_of(tokenizer);
    set_vocabulary(model.find("vocab"), tokenizer.origin(), vocabulary);
    vocabulary.merges = read_merges(model.find("merges"), tokenizer.origin());
  } else {
    fail("{}: a tokenizer of the kind {} is not known here; use another model", tokenizer.origin(), type);
  }
  read_added_tokens(tokenizer.find("added_tokens"), tokenizer.origin(), vocabulary);
  read_template(tokenizer, vocabulary);
  return vocabulary;
}

std::vector<std::string> read_lines(const fs::path& path) {
  const MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    begin = end + 1;
  }
  return lines;
}

HfVocabulary read_vocab_txt(const fs::path& folder, const JsonView& tokenizer_config) {
  HfVocabulary vocabulary;
  vocabulary.model = "bert";
  vocabulary.lowercase = tokenizer_config.flag("do_lower_case").value_or(true);
  vocabulary.strip_accents = tokenizer_config.flag("strip_accents").value_or(vocabulary.lowercase);
  int64_t id = 0;
  for (std::string& line : read_lines(folder / "vocab.txt")) {
    vocabulary.set(id++, std::move(line), TokenKind::kNormal, (folder / "vocab.txt").string());
  }
  return vocabulary;
}

HfVocabulary read_vocab_json(const fs::path& folder, const JsonView& tokenizer_config) {
  const std::string kind = tokenizer_config.text("tokenizer_class").value_or("nothing");
  HfVocabulary vocabulary;
  vocabulary.model = "gpt2";
  if (kind.starts_with("GPT2Tokenizer")) vocabulary.pre = "gpt-2";
  if (kind.starts_with("Qwen2Tokenizer")) vocabulary.pre = "qwen2";
  if (vocabulary.pre.empty()) {
    fail("{}: the tokenizer {} cannot be known from vocab.json and merges.txt alone; add tokenizer.json",
         folder.string(), kind);
  }
  const json vocab = read_json_file(folder / "vocab.json");
  set_vocabulary(&vocab, (folder / "vocab.json").string(), vocabulary);
  for (std::string& line : read_lines(folder / "merges.txt")) {
    const bool is_comment = line.starts_with("#version");
    if (!is_comment && !line.empty()) vocabulary.merges.push_back(std::move(line));
  }
  return vocabulary;
}

}  // namespace

void HfVocabulary::set(int64_t id, std::string text, TokenKind kind, const std::string& origin) {
  if (id < 0 || id >= kMaxTokens) {
    fail("{}: the id {} of the token \"{}\" is not below {}; get the file again", origin, id, text,
         kMaxTokens);
  }
  const auto place = static_cast<size_t>(id);
  if (place >= tokens.size()) {
    tokens.resize(place + 1);
    kinds.resize(place + 1, TokenKind::kUnused);
    if (!scores.empty()) scores.resize(place + 1, 0);
  }
  if (const auto old = ids_.find(tokens[place]); old != ids_.end() && old->second == id) ids_.erase(old);
  ids_[text] = id;
  tokens[place] = std::move(text);
  kinds[place] = kind;
}

std::optional<int64_t> HfVocabulary::find(const std::string& text) const {
  const auto place = ids_.find(text);
  return place == ids_.end() ? std::nullopt : std::optional(place->second);
}

HfVocabulary read_hf_vocabulary(const fs::path& folder, const JsonView& tokenizer_config) {
  HfVocabulary vocabulary;
  if (fs::exists(folder / "tokenizer.json")) {
    vocabulary = read_tokenizer_json(folder);
  } else if (fs::exists(folder / "tokenizer.model")) {
    const MappedFile file(folder / "tokenizer.model");
    vocabulary = read_sentencepiece_model(file.bytes(), (folder / "tokenizer.model").string());
  } else if (fs::exists(folder / "vocab.txt")) {
    vocabulary = read_vocab_txt(folder, tokenizer_config);
  } else if (fs::exists(folder / "vocab.json") && fs::exists(folder / "merges.txt")) {
    vocabulary = read_vocab_json(folder, tokenizer_config);
  }
  const JsonView added = tokenizer_config.child("added_tokens_decoder");
  if (vocabulary.model.empty() || !added) return vocabulary;
  json list = json::array();
  for (const auto& [id, token] : tokenizer_config.find("added_tokens_decoder")->items()) {
    json entry = token;
    if (!entry.is_object() || id.empty() || id.size() > 9 ||
        id.find_first_not_of("0123456789") != std::string::npos) {
      fail("{}: the added token \"{}\" is not described; get the file again", added.origin(), id);
    }
    entry["id"] = std::stoul(id);
    list.push_back(std::move(entry));
  }
  read_added_tokens(&list, added.origin(), vocabulary);
  return vocabulary;
}

}  // namespace wattle
