#include "text/ggml_pipeline.h"

#include <wattle/error.h>

#include "base/base64.h"
#include "text/ggml_pretokenizers.h"

namespace wattle::inline text {
namespace {

using nlohmann::json;

constexpr std::string_view kWordStart = "\u2581";

bool flag(const Metadata& metadata, std::string_view key, bool otherwise) {
  return metadata.flag(key).value_or(otherwise);
}

/// Control tokens, where a text may hold them, and user-defined ones, everywhere, are found as they are
/// written.
json added_tokens(const Vocabulary& vocabulary, bool with_user_defined) {
  json list = json::array();
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const bool control = vocabulary.is_control(id);
    if (!control && !(with_user_defined && vocabulary.type(id) == TokenType::kUserDefined)) continue;
    list.push_back(
        {{"id", id}, {"content", vocabulary.text(id)}, {"special", control}, {"normalized", false}});
  }
  return list;
}

/// What stands before, between and behind one or two texts.
class Template {
 public:
  explicit Template(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  Template& token(const std::optional<TokenId>& id, bool wanted, int type_id = 0) {
    if (!id || !wanted) return *this;
    const std::string name = std::to_string(*id);
    list_.push_back({{"SpecialToken", {{"id", name}, {"type_id", type_id}}}});
    tokens_[name] = {{"id", name}, {"ids", {*id}}, {"tokens", {vocabulary_.text(*id)}}};
    return *this;
  }
  Template& text(const char* which, int type_id = 0) {
    list_.push_back({{"Sequence", {{"id", which}, {"type_id", type_id}}}});
    return *this;
  }
  /// What was put down so far is the template of one text.
  Template& single_ends() {
    single_ = list_;
    return *this;
  }
  json done() const {
    return {
        {"type", "TemplateProcessing"}, {"single", single_}, {"pair", list_}, {"special_tokens", tokens_}};
  }

 private:
  const Vocabulary& vocabulary_;
  json list_ = json::array(), single_, tokens_ = json::object();
};

json bos_and_eos(const Vocabulary& vocabulary, bool bos, bool eos, bool repeats_bos = true, int second = 1) {
  const Tokenizer::Special& special = vocabulary.special();
  Template parts(vocabulary);
  parts.token(special.bos, bos).text("A").token(special.eos, eos).single_ends();
  parts.token(special.bos, bos && repeats_bos, second).text("B", second).token(special.eos, eos, second);
  return parts.done();
}

/// ---- bert

void complete_special(Vocabulary& vocabulary) {
  Tokenizer::Special& special = vocabulary.special();
  if (!special.cls) special.cls = special.bos ? special.bos : vocabulary.find("[CLS]");
  if (!special.sep) special.sep = special.eos ? special.eos : vocabulary.find("[SEP]");
  if (!special.unk) special.unk = vocabulary.find("[UNK]");
  if (!special.mask) special.mask = vocabulary.find("[MASK]");
}

json bert(const Metadata& metadata, Vocabulary& vocabulary) {
  unmark_word_starts(vocabulary);
  complete_special(vocabulary);
  const Tokenizer::Special& special = vocabulary.special();
  if (!special.unk) {
    fail(
        "{}: a WordPiece vocabulary needs an unknown token (tokenizer.ggml.unknown_token_id or [UNK]); "
        "convert the "
        "model again",
        metadata.origin());
  }
  const bool lowercase = flag(metadata, "tokenizer.wattle.lowercase",
                              flag(metadata, "tokenizer.ggml.normalizer.lowercase", true));
  const bool strip = flag(metadata, "tokenizer.wattle.strip_accents",
                          flag(metadata, "tokenizer.ggml.normalizer.strip_accents", lowercase));
  const bool cls = flag(metadata, "tokenizer.ggml.add_bos_token", true);
  const bool sep =
      flag(metadata, "tokenizer.ggml.add_eos_token", flag(metadata, "tokenizer.ggml.add_sep_token", true));
  Template parts(vocabulary);
  parts.token(special.cls, cls).text("A").token(special.sep, sep).single_ends();
  parts.text("B", 1).token(special.sep, sep, 1);
  return {{"normalizer", {{"type", "BertNormalizer"}, {"lowercase", lowercase}, {"strip_accents", strip}}},
          {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
          {"model", {{"type", "WordPiece"}, {"unk_token", vocabulary.text(*special.unk)}}},
          {"post_processor", parts.done()},
          {"decoder", {{"type", "WordPiece"}}},
          {"added_tokens", added_tokens(vocabulary, true)}};
}

/// ---- gpt2

const GgmlPretokenizer& pretokenizer_of(const Metadata& metadata, std::vector<std::string>& notes) {
  const auto named = metadata.text("tokenizer.ggml.pre");
  if (!named || named == "default") {
    notes.push_back(
        "the file does not say how its tokenizer cuts a text into words (tokenizer.ggml.pre): it is read as "
        "GPT-2's; "
        "convert the model again if its answers are poor");
  }
  const std::string name = named.value_or("default");
  const GgmlPretokenizer* const known = find_pretokenizer(name);
  if (known == nullptr) {
    fail("{}: pre-tokenisation \"{}\" (tokenizer.ggml.pre) is not known; choose a model with one of {}",
         metadata.origin(), name, pretokenizer_names());
  }
  return *known;
}

json words_of(const GgmlPretokenizer& known) {
  json steps = json::array();
  for (const std::string_view pattern : known.patterns) {
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}});
  }
  if (!known.raw_text)
    steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", steps}};
}

json escaped_spaces() {
  return {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", kWordStart}};
}

json unescaped_spaces(bool strip) {
  json steps = {{{"type", "Replace"}, {"pattern", {{"String", kWordStart}}}, {"content", " "}},
                {{"type", "ByteFallback"}},
                {{"type", "Fuse"}}};
  if (strip) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

json gpt2(const Metadata& metadata, Vocabulary& vocabulary, std::vector<std::string>& notes) {
  const GgmlPretokenizer& known = pretokenizer_of(metadata, notes);
  if (metadata.strings("tokenizer.ggml.merges").empty()) {
    fail("{}: no merges (tokenizer.ggml.merges), which byte-level BPE needs; convert or pull the model again",
         metadata.origin());
  }
  const Tokenizer::Special& special = vocabulary.special();
  const bool bos = flag(metadata, "tokenizer.ggml.add_bos_token", known.add_bos || known.ends_with_sep);
  const bool eos = flag(metadata, "tokenizer.ggml.add_eos_token", known.ends_with_sep);
  json model = {{"type", "BPE"}, {"ignore_merges", known.ignore_merges}, {"byte_fallback", known.raw_text}};
  json steps = {{"pre_tokenizer", words_of(known)},
                {"post_processor", bos_and_eos(vocabulary, bos, eos)},
                {"decoder", known.raw_text ? unescaped_spaces(false) : json{{"type", "ByteLevel"}}},
                {"added_tokens", added_tokens(vocabulary, true)}};
  if (known.ends_with_sep) {
    Template parts(vocabulary);
    parts.token(special.bos, bos).text("A").token(special.eos, eos).single_ends();
    parts.token(special.eos, eos).text("B").token(special.eos, eos);
    steps["post_processor"] = parts.done();
  }
  steps["model"] = std::move(model);
  if (known.nfc) steps["normalizer"] = {{"type", "NFC"}};
  if (known.raw_text) steps["normalizer"] = escaped_spaces();
  return steps;
}

/// ---- llama and t5: SentencePiece

std::string character_map_of(const Metadata& metadata) {
  std::string bytes;
  for (const int64_t byte : metadata.integers("tokenizer.ggml.precompiled_charsmap")) {
    bytes += static_cast<char>(byte);
  }
  return to_base64(bytes);
}

json sentencepiece(const Metadata& metadata, const Vocabulary& vocabulary, bool unigram) {
  const bool prefix = flag(metadata, "tokenizer.ggml.add_space_prefix", true);
  const bool bos = flag(metadata, "tokenizer.ggml.add_bos_token", !unigram);
  const bool eos = flag(metadata, "tokenizer.ggml.add_eos_token", unigram);
  bool spells_bytes = false;
  for (TokenId id = 0; id < vocabulary.size(); ++id) spells_bytes |= vocabulary.type(id) == TokenType::kByte;
  json normalizer = {
      {"type", "SentencePiece"},
      {"charsmap", character_map_of(metadata)},
      {"add_dummy_prefix", prefix},
      {"remove_extra_whitespaces", flag(metadata, "tokenizer.ggml.remove_extra_whitespaces", unigram)},
      {"treat_whitespace_as_suffix", flag(metadata, "tokenizer.ggml.treat_whitespace_as_suffix", false)}};
  return {
      {"normalizer", normalizer},
      {"model",
       {{"type", unigram ? "SentencePieceUnigram" : "SentencePieceBPE"}, {"byte_fallback", spells_bytes}}},
      {"post_processor", bos_and_eos(vocabulary, bos, eos, true, unigram ? 0 : 1)},
      {"decoder", unescaped_spaces(prefix)},
      {"added_tokens", added_tokens(vocabulary, false)}};
}

}  // namespace

void unmark_word_starts(Vocabulary& vocabulary) {
  bool marks_starts = false;
  for (TokenId id = 0; id < vocabulary.size(); ++id)
    marks_starts |= vocabulary.text(id).starts_with(kWordStart);
  if (!marks_starts) return;
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const std::string& text = vocabulary.text(id);
    const bool start = text.starts_with(kWordStart);
    if (vocabulary.type(id) != TokenType::kNormal && !start) continue;
    vocabulary.set_text(id, start ? text.substr(kWordStart.size()) : "##" + text);
  }
}

json ggml_pipeline(const Metadata& metadata, Vocabulary& vocabulary, std::vector<std::string>& notes) {
  const std::string model = metadata.need_text("tokenizer.ggml.model");
  if (model == "bert") return bert(metadata, vocabulary);
  if (model == "gpt2") return gpt2(metadata, vocabulary, notes);
  if (model == "llama" || model == "t5") return sentencepiece(metadata, vocabulary, model == "t5");
  fail(
      "{}: tokenizer \"{}\" is not known; choose a model with one of bert (WordPiece), gpt2 (byte-level "
      "BPE), llama "
      "(SentencePiece's BPE), t5 (SentencePiece's unigrams)",
      metadata.origin(), model);
}

}  // namespace wattle::inline text
