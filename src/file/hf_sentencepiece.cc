#include <algorithm>

#include <wattle/error.h>

#include "base/base64.h"
#include "base/mapped_file.h"
#include "file/hf_steps.h"

namespace wattle::inline file {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::string_view kMBartCodes =
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM "
    "ne_NP nl_XX "
    "ro_RO ru_RU si_LK tr_TR vi_VN zh_CN";
constexpr std::string_view kMBart50Codes =
    " af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX sv_SE "
    "sw_KE ta_IN "
    "te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI";
constexpr std::string_view kM2M100Codes =
    "af am ar ast az ba be bg bn br bs ca ceb cs cy da de el en es et fa ff fi fr fy ga gd gl gu ha he hi hr "
    "ht hu hy id "
    "ig ilo is it ja jv ka kk km kn ko lb lg ln lo lt lv mg mk ml mn mr ms my ne nl no ns oc or pa pl ps pt "
    "ro ru sd si "
    "sk sl so sq sr ss su sv sw ta th tl tn tr uk ur uz vi wo xh yi yo zh zu";

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(' '));
    if (!word.empty()) words.emplace_back(word);
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return words;
}

/// A class that is being read.
struct Source {
  fs::path folder;
  const JsonView& tokenizer_config;
  const JsonView& special_map;
  SentencePieceModel model;
  std::string origin;  ///< the model's file
  HfVocabulary vocabulary;

  std::string token(const char* key, const char* otherwise) const {
    std::string text = hf_token_text(tokenizer_config, key);
    if (text.empty()) text = hf_token_text(special_map, key);
    return text.empty() ? otherwise : text;
  }
  bool flag(const char* key, bool otherwise) const { return tokenizer_config.flag(key).value_or(otherwise); }

  void add(const std::string& text, TokenKind kind = TokenKind::kControl, double score = 0) {
    vocabulary.add(text, kind, origin);
    vocabulary.scores.push_back(score);
  }
  void add_pieces(size_t from) {
    for (size_t i = from; i < model.pieces.size(); ++i) {
      add(model.pieces[i].text, model.pieces[i].kind, model.pieces[i].score);
    }
  }
  /// The four tokens that fairseq puts first, then the pieces behind SentencePiece's own three.
  void add_fairseq() {
    add("<s>");
    add("<pad>");
    add("</s>");
    add("<unk>", TokenKind::kUnknown);
    add_pieces(3);
  }
  void kind(const std::string& text, TokenKind kind) {
    vocabulary.kinds[static_cast<size_t>(vocabulary.need(text, origin))] = kind;
  }
  StepTemplate begin() const { return StepTemplate(vocabulary, origin); }
};

/// <s> A </s> and <s> A </s></s> B </s>
json roberta_template(const Source& source) {
  return source.begin()
      .token("<s>")
      .text("A")
      .token("</s>")
      .end_of_single()
      .token("</s>")
      .text("B")
      .token("</s>")
      .done();
}
/// [CLS] A [SEP] B [SEP]
json bert_template(const Source& source) {
  return source.begin()
      .token("[CLS]")
      .text("A")
      .token("[SEP]")
      .end_of_single()
      .text("B", 1)
      .token("[SEP]", 1)
      .done();
}

json read_xlm_roberta(Source& source) {
  source.add_fairseq();
  source.add("<mask>");
  return roberta_template(source);
}

json read_camembert(Source& source) {
  source.add("<s>NOTUSED");
  source.add("<pad>");
  source.add("</s>NOTUSED");
  source.add("<unk>", TokenKind::kUnknown);
  source.add("<unk>NOTUSED");
  source.add_pieces(1);
  source.add("<mask>");
  return roberta_template(source);
}

void add_codes(Source& source, std::string_view codes) {
  for (const std::string& code : words_of(codes)) source.add(code);
}

json read_mbart(Source& source) {
  source.add_fairseq();
  add_codes(source, kMBartCodes);
  source.add("<mask>");
  const std::string language = source.token("src_lang", "en_XX");
  return source.begin()
      .text("A")
      .token("</s>")
      .token(language)
      .end_of_single_alone()
      .text("A")
      .text("B")
      .token("</s>")
      .token(language)
      .done();
}

/// A text, or two, between the token of its language and the end.
json after_language(Source& source, const std::string& language) {
  return source.begin()
      .token(language)
      .text("A")
      .token("</s>")
      .end_of_single_alone()
      .token(language)
      .text("A")
      .text("B")
      .token("</s>")
      .done();
}

json read_mbart50(Source& source) {
  source.add_fairseq();
  add_codes(source, std::string(kMBartCodes) + std::string(kMBart50Codes));
  source.add("<mask>");
  const std::string language = source.token("src_lang", "en_XX");
  return after_language(source, language);
}

json read_t5(Source& source) {
  source.add_pieces(0);
  for (int64_t i = source.tokenizer_config.integer("extra_ids").value_or(100) - 1; i >= 0; --i) {
    source.add("<extra_id_" + std::to_string(i) + ">");
  }
  return source.begin().text("A").token("</s>").end_of_single().text("B").token("</s>").done();
}

json read_pegasus(Source& source) {
  const int64_t offset = source.tokenizer_config.integer("offset").value_or(103);
  if (offset < 2 || offset > 10'000) fail("{}: the offset of the tokens is {}", source.origin, offset);
  source.add("<pad>");
  source.add("</s>");
  source.add("<mask_1>");
  source.add("<mask_2>");
  for (int64_t i = 2; i < offset; ++i) source.add("<unk_" + std::to_string(i) + ">");
  source.add_pieces(2);
  return source.begin()
      .text("A")
      .token("</s>")
      .end_of_single_alone()
      .text("A")
      .text("B")
      .token("</s>")
      .done();
}

json read_albert(Source& source) {
  source.add_pieces(0);
  for (const auto& piece : source.model.pieces) {
    const std::string& text = piece.text;
    if (text.size() > 1 && text.back() == ',' && text[text.size() - 2] >= '0' &&
        text[text.size() - 2] <= '9') {
      fail("{}: the piece \"{}\" ends in a digit and a comma, which ALBERT cuts anew; add tokenizer.json",
           source.origin, text);
    }
  }
  json& steps = source.vocabulary.steps["before"];
  // Python's split() and strip(), which know the separators of ASCII as white space.
  steps.push_back({{"type", "Replace"}, {"pattern", {{"Regex", R"([\s\x1c-\x1f]+)"}}}, {"content", " "}});
  steps.push_back({{"type", "Strip"}});
  for (const char* quotes : {"``", "''"}) {
    steps.push_back({{"type", "Replace"}, {"pattern", {{"String", quotes}}}, {"content", "\""}});
  }
  if (!source.flag("keep_accents", false)) {
    steps.push_back({{"type", "NFKD"}});
    steps.push_back({{"type", "StripAccents"}});
  }
  if (source.flag("do_lower_case", true)) steps.push_back({{"type", "Lowercase"}});
  return bert_template(source);
}

json read_deberta_v2(Source& source) {
  source.add_pieces(0);
  for (const char* text : {"[CLS]", "[SEP]", "[PAD]"}) source.kind(text, TokenKind::kControl);
  source.kind("[UNK]", TokenKind::kUnknown);
  if (!source.vocabulary.find("[MASK]")) source.add("[MASK]");
  source.kind("[MASK]", TokenKind::kControl);
  if (source.flag("split_by_punct", false)) {
    fail("{}: splits at punctuation, which is not known here; add tokenizer.json",
         source.tokenizer_config.origin());
  }
  if (source.flag("do_lower_case", false))
    source.vocabulary.steps["before"].push_back({{"type", "Lowercase"}});
  return bert_template(source);
}

/// vocab.json numbers the pieces; those that only the other language has are no pieces of this one.
void number_by_vocab_json(Source& source) {
  const fs::path path = source.folder / "vocab.json";
  if (!fs::exists(path)) {
    fail("{}: the tokenizer needs vocab.json, which the folder lacks; get the model again",
         source.folder.string());
  }
  const json vocab = read_json_file(path);
  set_hf_tokens(&vocab, path.string(), source.vocabulary);
  HfVocabulary& vocabulary = source.vocabulary;
  vocabulary.scores.assign(vocabulary.tokens.size(), 0);
  for (TokenKind& kind : vocabulary.kinds) kind = TokenKind::kUnused;
  for (const auto& piece : source.model.pieces) {
    const bool plain = piece.kind == TokenKind::kNormal || piece.kind == TokenKind::kUserDefined;
    const auto id = vocabulary.find(piece.text);
    if (!id && plain) {
      fail("{}: lacks the piece \"{}\" of the SentencePiece model; get the files of one model", path.string(),
           piece.text);
    }
    if (!id) continue;
    vocabulary.kinds[static_cast<size_t>(*id)] = piece.kind;
    vocabulary.scores[static_cast<size_t>(*id)] = piece.score;
  }
  source.kind("<unk>", TokenKind::kUnknown);
}

json read_marian(Source& source) {
  number_by_vocab_json(source);
  source.kind("</s>", TokenKind::kControl);
  if (source.vocabulary.find("<pad>")) source.kind("<pad>", TokenKind::kControl);
  // The language to translate into stands before a text: ">>fra<<".
  for (size_t id = 0; id < source.vocabulary.tokens.size(); ++id) {
    const std::string& text = source.vocabulary.tokens[id];
    if (text.starts_with(">>") && text.ends_with("<<")) source.vocabulary.kinds[id] = TokenKind::kControl;
  }
  return source.begin()
      .text("A")
      .token("</s>")
      .end_of_single_alone()
      .text("A")
      .text("B")
      .token("</s>")
      .done();
}

json read_m2m100(Source& source) {
  number_by_vocab_json(source);
  for (const char* text : {"<s>", "<pad>", "</s>"}) source.kind(text, TokenKind::kControl);
  for (const std::string& code : words_of(kM2M100Codes)) source.add("__" + code + "__");
  const std::string language = "__" + source.token("src_lang", "en") + "__";
  return after_language(source, language);
}

/// Llama, Gemma and their kin.
json read_llama(Source& source) {
  source.add_pieces(0);
  const std::string bos = source.token("bos_token", "<s>"), eos = source.token("eos_token", "</s>");
  const bool first = source.flag("add_bos_token", source.vocabulary.find(bos).has_value());
  const bool last = source.flag("add_eos_token", false);
  source.vocabulary.add_bos = first;
  source.vocabulary.add_eos = last;
  StepTemplate parts = source.begin();
  if (first) parts.token(bos);
  parts.text("A");
  if (last) parts.token(eos);
  parts.end_of_single();
  if (first) parts.token(bos, 1);
  parts.text("B", 1);
  if (last) parts.token(eos, 1);
  return parts.done();
}

struct Class {
  std::string_view names, model_types;
  std::string_view files;  ///< the model's, the first that is there
  json (*read)(Source&);
};
constexpr Class kClasses[] = {
    {"XLMRobertaTokenizer", "xlm-roberta", "sentencepiece.bpe.model", read_xlm_roberta},
    {"CamembertTokenizer", "camembert", "sentencepiece.bpe.model", read_camembert},
    {"MBartTokenizer", "mbart", "sentencepiece.bpe.model", read_mbart},
    {"MBart50Tokenizer", "", "sentencepiece.bpe.model", read_mbart50},
    {"M2M100Tokenizer", "m2m_100", "sentencepiece.bpe.model", read_m2m100},
    {"MarianTokenizer", "marian", "source.spm", read_marian},
    {"T5Tokenizer", "t5 mt5 umt5", "spiece.model", read_t5},
    {"PegasusTokenizer", "pegasus", "spiece.model", read_pegasus},
    {"AlbertTokenizer", "albert", "spiece.model", read_albert},
    {"DebertaV2Tokenizer", "deberta-v2", "spm.model", read_deberta_v2},
    {"LlamaTokenizer CodeLlamaTokenizer GemmaTokenizer", "llama mistral gemma gemma2 gemma3 gemma3_text phi3",
     "tokenizer.model", read_llama},
};

bool lists(std::string_view words, const std::string& word) {
  const std::vector<std::string> list = words_of(words);
  return !word.empty() && std::find(list.begin(), list.end(), word) != list.end();
}

json decoder_steps(bool strip) {
  json steps = json::array({{{"type", "Replace"}, {"pattern", {{"String", "\u2581"}}}, {"content", " "}},
                            {{"type", "ByteFallback"}},
                            {{"type", "Fuse"}}});
  if (strip) steps.push_back({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}});
  return {{"type", "Sequence"}, {"decoders", steps}};
}

/// Normalizing, model, decoder and special tokens, which all classes have alike.
void add_steps(Source& source) {
  HfVocabulary& vocabulary = source.vocabulary;
  const SentencePieceModel& model = source.model;
  json normalizers = vocabulary.steps.value("before", json::array());
  vocabulary.steps.erase("before");
  normalizers.push_back({{"type", "SentencePiece"},
                         {"charsmap", to_base64(model.character_map)},
                         {"add_dummy_prefix", model.add_dummy_prefix},
                         {"remove_extra_whitespaces", model.remove_extra_whitespaces},
                         {"escape_whitespaces", model.escape_whitespaces},
                         {"treat_whitespace_as_suffix", model.treat_whitespace_as_suffix}});
  vocabulary.steps["normalizer"] = {{"type", "Sequence"}, {"normalizers", std::move(normalizers)}};
  vocabulary.steps["model"] = {{"type", model.bpe ? "SentencePieceBPE" : "SentencePieceUnigram"},
                               {"byte_fallback", model.byte_fallback}};
  vocabulary.steps["decoder"] = decoder_steps(model.add_dummy_prefix && !model.treat_whitespace_as_suffix);
  json& added = vocabulary.steps["added_tokens"] = json::array();
  for (size_t id = 0; id < vocabulary.tokens.size(); ++id) {
    const TokenKind kind = vocabulary.kinds[id];
    if (kind == TokenKind::kUnknown) vocabulary.unknown = static_cast<int64_t>(id);
    if (kind != TokenKind::kControl && kind != TokenKind::kUnknown) continue;
    const std::string& text = vocabulary.tokens[id];
    const bool mask = text == "<mask>" || text == "[MASK]";
    added.push_back(
        {{"id", id}, {"content", text}, {"special", true}, {"normalized", false}, {"lstrip", mask}});
  }
  vocabulary.model = model.bpe ? "llama" : "t5";
  vocabulary.pre = "default";
  vocabulary.add_space_prefix = model.add_dummy_prefix;
  vocabulary.remove_extra_whitespaces = model.remove_extra_whitespaces;
  vocabulary.character_map = model.character_map;
  if (model.bpe &&
      (!model.character_map.empty() || model.remove_extra_whitespaces || vocabulary.unknown != 0)) {
    vocabulary.pre = "wattle";  // more than llama.cpp's kind does
  }
}

}  // namespace

std::optional<HfVocabulary> read_sentencepiece_tokenizer(const fs::path& folder, const std::string& name,
                                                         const std::string& model_type,
                                                         const JsonView& tokenizer_config,
                                                         const JsonView& special_map) {
  const Class* found = nullptr;
  for (const Class& known : kClasses) {
    if (name.empty() ? lists(known.model_types, model_type) : lists(known.names, name)) found = &known;
  }
  // A folder that names nothing and has Llama's file is of its kin.
  if (found == nullptr && name.empty() && fs::exists(folder / "tokenizer.model"))
    found = &kClasses[std::size(kClasses) - 1];
  if (found == nullptr) {
    for (const char* file : {"tokenizer.model", "spiece.model", "spm.model", "sentencepiece.bpe.model"}) {
      if (fs::exists(folder / file)) {
        fail("{}: the tokenizer {} cannot be known from {} alone; add tokenizer.json", folder.string(),
             name.empty() ? "of a " + model_type : name, file);
      }
    }
    return std::nullopt;
  }
  const fs::path path = folder / std::string(found->files);
  if (!fs::exists(path)) return std::nullopt;
  const MappedFile file(path);
  Source source{folder,        tokenizer_config,
                special_map,   read_sentencepiece_model(file.bytes(), path.string()),
                path.string(), {}};
  source.vocabulary.steps = json::object();
  source.vocabulary.add_bos = source.vocabulary.add_eos = false;
  json post = found->read(source);
  const json& single = post["single"];
  if (!single.empty()) {
    source.vocabulary.add_bos = single.front().contains("SpecialToken");
    source.vocabulary.add_eos = single.back().contains("SpecialToken");
  }
  add_steps(source);
  source.vocabulary.steps["post_processor"] = std::move(post);
  return std::move(source.vocabulary);
}

}  // namespace wattle::inline file
