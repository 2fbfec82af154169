#include <algorithm>
#include <array>

#include <wattle/error.h>

#include "base/mapped_file.h"
#include "file/hf_steps.h"
#include "file/hf_vocabulary.h"

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

/// What the readers of the classes share.
struct Folder {
  fs::path path;
  const JsonView& tokenizer_config;
  const JsonView& special_map;

  bool has(const char* name) const { return fs::exists(path / name); }
  std::string file(const char* name) const { return (path / name).string(); }
  /// A special token, as the folder names it or as its class does.
  std::string token(const char* key, const char* otherwise) const {
    std::string text = hf_token_text(tokenizer_config, key);
    if (text.empty()) text = hf_token_text(special_map, key);
    return text.empty() ? otherwise : text;
  }
  bool flag(const char* key, bool otherwise) const { return tokenizer_config.flag(key).value_or(otherwise); }
};

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

void need_files(const Folder& folder, std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (!folder.has(name)) {
      fail("{}: the tokenizer needs {}, which the folder lacks; get the model again, or add tokenizer.json",
           folder.path.string(), name);
    }
  }
}

/// Marks a token of the vocabulary as special and lets it be found in texts; tokens that the vocabulary lacks
/// are added behind.
void add_special(const std::string& text, HfVocabulary& vocabulary, const std::string& origin,
                 bool lstrip = false) {
  auto id = vocabulary.find(text);
  if (!id) id = vocabulary.add(text, TokenKind::kControl, origin);
  TokenKind& kind = vocabulary.kinds[static_cast<size_t>(*id)];
  if (kind != TokenKind::kUnknown) kind = TokenKind::kControl;
  json& list = vocabulary.steps["added_tokens"];
  const bool there =
      std::any_of(list.begin(), list.end(), [&](const json& entry) { return entry["id"] == *id; });
  if (there) return;
  list.push_back(
      {{"id", *id}, {"content", text}, {"special", true}, {"normalized", false}, {"lstrip", lstrip}});
}

/// ---- WordPiece

HfVocabulary read_bert(const Folder& folder, bool mpnet) {
  need_files(folder, {"vocab.txt"});
  if (!folder.flag("do_basic_tokenize", true)) {
    fail("{}: the tokenizer goes without BERT's basic steps, which is not known here; add tokenizer.json",
         folder.path.string());
  }
  HfVocabulary vocabulary;
  vocabulary.model = "bert";
  const std::string origin = folder.file("vocab.txt");
  int64_t id = 0;
  for (std::string& line : read_lines(folder.path / "vocab.txt")) {
    vocabulary.set(id++, std::move(line), TokenKind::kNormal, origin);
  }
  const json* const strip = folder.tokenizer_config.find("strip_accents");
  vocabulary.steps["normalizer"] = {{"type", "BertNormalizer"},
                                    {"lowercase", folder.flag("do_lower_case", true)},
                                    {"strip_accents", strip == nullptr ? json() : *strip},
                                    {"handle_chinese_chars", folder.flag("tokenize_chinese_chars", true)}};
  vocabulary.steps["pre_tokenizer"] = {{"type", "BertPreTokenizer"}};
  const std::string unknown = folder.token("unk_token", "[UNK]");
  const std::string cls = folder.token("cls_token", mpnet ? "<s>" : "[CLS]");
  const std::string sep = folder.token("sep_token", mpnet ? "</s>" : "[SEP]");
  vocabulary.steps["model"] = {{"type", "WordPiece"}, {"unk_token", unknown}};
  vocabulary.steps["decoder"] = {{"type", "WordPiece"}};
  vocabulary.steps["added_tokens"] = json::array();
  vocabulary.unknown = vocabulary.need(unknown, origin);
  for (const std::string& text : {unknown, cls, sep}) {
    vocabulary.need(text, origin);
    add_special(text, vocabulary, origin);
  }
  for (const auto& [key, text] : {std::pair{"pad_token", mpnet ? "<pad>" : "[PAD]"},
                                  std::pair{"mask_token", mpnet ? "<mask>" : "[MASK]"}}) {
    if (vocabulary.find(folder.token(key, text)))
      add_special(folder.token(key, text), vocabulary, origin, mpnet);
  }
  StepTemplate parts(vocabulary, origin);
  parts.token(cls).text("A").token(sep).end_of_single();
  if (mpnet) parts.token(sep);
  vocabulary.steps["post_processor"] = parts.text("B", 1).token(sep, 1).done();
  return vocabulary;
}
HfVocabulary read_bert_like(const Folder& folder) {
  return read_bert(folder, false);
}
HfVocabulary read_mpnet(const Folder& folder) {
  return read_bert(folder, true);
}

/// ---- byte-pair encoding

void read_merges(const Folder& folder, HfVocabulary& vocabulary) {
  need_files(folder, {"vocab.json", "merges.txt"});
  const json vocab = read_json_file(folder.path / "vocab.json");
  set_hf_tokens(&vocab, folder.file("vocab.json"), vocabulary);
  for (std::string& line : read_lines(folder.path / "merges.txt")) {
    const bool is_comment = line.starts_with("#version");
    if (!is_comment && !line.empty()) vocabulary.merges.push_back(std::move(line));
  }
}

HfVocabulary byte_level(const Folder& folder) {
  HfVocabulary vocabulary;
  vocabulary.model = "gpt2";
  vocabulary.pre = "gpt-2";
  read_merges(folder, vocabulary);
  const bool prefix = folder.flag("add_prefix_space", false);
  vocabulary.steps["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", prefix}};
  vocabulary.steps["model"] = {{"type", "BPE"}};
  vocabulary.steps["decoder"] = {{"type", "ByteLevel"}};
  vocabulary.steps["added_tokens"] = json::array();
  return vocabulary;
}

HfVocabulary read_gpt2(const Folder& folder) {
  HfVocabulary vocabulary = byte_level(folder);
  const std::string origin = folder.path.string();
  const std::string bos = folder.token("bos_token", "<|endoftext|>");
  for (const char* key : {"unk_token", "bos_token", "eos_token"}) {
    add_special(folder.token(key, "<|endoftext|>"), vocabulary, origin);
  }
  vocabulary.add_bos = folder.flag("add_bos_token", false);
  vocabulary.add_eos = false;
  if (*vocabulary.add_bos) {
    StepTemplate parts(vocabulary, origin);
    vocabulary.steps["post_processor"] =
        parts.token(bos).text("A").end_of_single().token(bos, 1).text("B", 1).done();
  }
  return vocabulary;
}

HfVocabulary read_qwen2(const Folder& folder) {
  HfVocabulary vocabulary = byte_level(folder);
  vocabulary.pre = "qwen2";
  vocabulary.steps["normalizer"] = {{"type", "NFC"}};
  constexpr const char* kPattern =
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
  json words = json::array();
  words.push_back({{"type", "Split"}, {"pattern", {{"Regex", kPattern}}}, {"behavior", "Isolated"}});
  words.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  vocabulary.steps["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", words}};
  for (const char* key : {"eos_token", "pad_token"}) {
    add_special(folder.token(key, "<|endoftext|>"), vocabulary, folder.path.string());
  }
  vocabulary.add_bos = vocabulary.add_eos = false;
  return vocabulary;
}

HfVocabulary read_roberta(const Folder& folder) {
  HfVocabulary vocabulary = byte_level(folder);
  vocabulary.pre = "roberta-bpe";
  const std::string origin = folder.file("vocab.json");
  const std::string cls = folder.token("cls_token", "<s>"), sep = folder.token("sep_token", "</s>");
  for (const std::string& text :
       {cls, sep, folder.token("unk_token", "<unk>"), folder.token("pad_token", "<pad>")}) {
    add_special(text, vocabulary, origin);
  }
  add_special(folder.token("mask_token", "<mask>"), vocabulary, origin, true);
  vocabulary.steps["post_processor"] = {{"type", "RobertaProcessing"},
                                        {"cls", json::array({cls, vocabulary.need(cls, origin)})},
                                        {"sep", json::array({sep, vocabulary.need(sep, origin)})},
                                        {"add_prefix_space", folder.flag("add_prefix_space", false)}};
  vocabulary.add_bos = vocabulary.add_eos = true;
  return vocabulary;
}

HfVocabulary read_deberta(const Folder& folder) {
  if (!folder.has("vocab.json")) {
    fail("{}: DeBERTa's bpe_encoder.bin is not read; add tokenizer.json, or vocab.json and merges.txt",
         folder.path.string());
  }
  HfVocabulary vocabulary = byte_level(folder);
  const std::string origin = folder.file("vocab.json");
  for (const char* text : {"[CLS]", "[SEP]", "[UNK]", "[PAD]"}) add_special(text, vocabulary, origin);
  add_special("[MASK]", vocabulary, origin, true);
  StepTemplate parts(vocabulary, origin);
  parts.token("[CLS]").text("A").token("[SEP]").end_of_single().text("B", 1).token("[SEP]", 1);
  vocabulary.steps["post_processor"] = parts.done();
  vocabulary.add_bos = vocabulary.add_eos = true;
  return vocabulary;
}

HfVocabulary read_openai(const Folder& folder) {
  HfVocabulary vocabulary;
  vocabulary.model = "wattle.bpe";
  read_merges(folder, vocabulary);
  const std::string unknown = folder.token("unk_token", "<unk>");
  vocabulary.unknown = vocabulary.need(unknown, folder.file("vocab.json"));
  vocabulary.steps = {{"normalizer", {{"type", "BertNormalizer"}, {"lowercase", true}}},
                      {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                      {"model", {{"type", "BPE"}, {"unk_token", unknown}, {"end_of_word_suffix", "</w>"}}},
                      {"decoder", {{"type", "BPEDecoder"}, {"suffix", "</w>"}}},
                      {"added_tokens", json::array()}};
  add_special(unknown, vocabulary, folder.path.string());
  vocabulary.add_bos = vocabulary.add_eos = false;
  return vocabulary;
}

/// vocab.txt of fairseq ("token count" a line, behind four special tokens) and bpe.codes ("left right
/// count").
HfVocabulary read_bertweet(const Folder& folder) {
  need_files(folder, {"vocab.txt", "bpe.codes"});
  if (folder.flag("normalization", false)) {
    fail(
        "{}: the tokenizer rewrites tweets first, which is not known here; give texts that are rewritten and "
        "set "
        "\"normalization\" to false",
        folder.path.string());
  }
  HfVocabulary vocabulary;
  vocabulary.model = "wattle.bpe";
  const std::string origin = folder.file("vocab.txt");
  const std::string bos = folder.token("bos_token", "<s>"), sep = folder.token("sep_token", "</s>");
  const std::string unknown = folder.token("unk_token", "<unk>"), pad = folder.token("pad_token", "<pad>");
  for (const std::string& text : {bos, pad, sep, unknown}) vocabulary.add(text, TokenKind::kNormal, origin);
  for (const std::string& line : read_lines(folder.path / "vocab.txt")) {
    const std::string text = line.substr(0, line.rfind(' '));
    if (!text.empty() && !vocabulary.find(text)) vocabulary.add(text, TokenKind::kNormal, origin);
  }
  for (const std::string& line : read_lines(folder.path / "bpe.codes")) {
    const size_t end = line.rfind(' ');
    if (end != std::string::npos && line.rfind(' ', end - 1) != std::string::npos) {
      vocabulary.merges.push_back(line.substr(0, end));
    }
  }
  vocabulary.unknown = 3;
  vocabulary.kinds[3] = TokenKind::kUnknown;
  vocabulary.steps = {{"pre_tokenizer",
                       {{"type", "Split"},
                        {"pattern", {{"Regex", R"([^\s\x1c-\x1f]+\n?)"}}},
                        {"behavior", "Removed"},
                        {"invert", true}}},
                      {"model", {{"type", "MarkedBPE"}, {"unk_token", unknown}, {"continuation", "@@"}}},
                      {"decoder", {{"type", "MarkedBPE"}, {"continuation", "@@"}}},
                      {"added_tokens", json::array()}};
  for (const std::string& text : {bos, pad, sep, unknown}) add_special(text, vocabulary, origin);
  add_special(folder.token("mask_token", "<mask>"), vocabulary, origin);
  StepTemplate parts(vocabulary, origin);
  parts.token(bos).text("A").token(sep).end_of_single().token(sep).text("B").token(sep);
  vocabulary.steps["post_processor"] = parts.done();
  vocabulary.add_bos = vocabulary.add_eos = true;
  return vocabulary;
}

struct Class {
  std::string_view names;        ///< tokenizer_class without "Fast", separated by spaces
  std::string_view model_types;  ///< of config.json, where no class is named
  HfVocabulary (*read)(const Folder&);
};
constexpr Class kClasses[] = {
    {"BertTokenizer DistilBertTokenizer ElectraTokenizer MobileBertTokenizer ConvBertTokenizer "
     "SqueezeBertTokenizer "
     "LayoutLMTokenizer RetriBertTokenizer DPRQuestionEncoderTokenizer DPRContextEncoderTokenizer "
     "DPRReaderTokenizer",
     "bert distilbert electra mobilebert convbert squeezebert", read_bert_like},
    {"MPNetTokenizer", "mpnet", read_mpnet},
    {"GPT2Tokenizer CodeGenTokenizer", "gpt2 gpt_neo gptj codegen opt gpt_bigcode starcoder2", read_gpt2},
    {"Qwen2Tokenizer", "qwen2 qwen3", read_qwen2},
    {"RobertaTokenizer BartTokenizer LongformerTokenizer LEDTokenizer", "roberta bart longformer led",
     read_roberta},
    {"DebertaTokenizer", "deberta", read_deberta},
    {"OpenAIGPTTokenizer", "openai-gpt", read_openai},
    {"BertweetTokenizer", "", read_bertweet},
};

bool lists(std::string_view words, std::string_view word) {
  for (; !words.empty(); words.remove_prefix(std::min(words.size(), words.find(' ') + 1))) {
    const std::string_view one = words.substr(0, words.find(' '));
    if (one == word) return true;
    if (one.size() == words.size()) break;
  }
  return false;
}

}  // namespace

HfVocabulary read_slow_tokenizer(const fs::path& path, const JsonView& tokenizer_config,
                                 const JsonView& special_map, const JsonView& config) {
  const Folder folder{path, tokenizer_config, special_map};
  std::string name = tokenizer_config.text("tokenizer_class").value_or("");
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  const std::string model_type = config ? config.text("model_type").value_or("") : "";
  const bool any = folder.has("vocab.txt") || folder.has("vocab.json") || folder.has("bpe_encoder.bin");
  const auto sentencepiece =
      read_sentencepiece_tokenizer(path, name, model_type, tokenizer_config, special_map);
  if (sentencepiece) return *sentencepiece;
  for (const Class& known : kClasses) {
    if (any && (name.empty() ? lists(known.model_types, model_type) : lists(known.names, name))) {
      return known.read(folder);
    }
  }
  if (!any) return {};
  if (name.empty() && folder.has("vocab.txt")) return read_bert_like(folder);
  fail("{}: the tokenizer {} cannot be known from its files alone; add tokenizer.json", path.string(),
       name.empty() ? "of a " + (model_type.empty() ? "model" : model_type) : name);
}

}  // namespace wattle::inline file
