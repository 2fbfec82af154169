#include <utf8proc.h>

#include <algorithm>

#include <wattle/error.h>

#include "text/unicode.h"
#include "text/vocabulary_tokenizer.h"

namespace wattle {
namespace {

constexpr std::string_view kWordStart = "\u2581";
constexpr std::string_view kContinuation = "##";
constexpr int kLongestWord = 100;  // characters; BERT's tokenizer gives up on longer ones

enum class CharacterClass { kRemoved, kSpace, kAlone, kPart };

/// The blocks that BERT's tokenizer surrounds with spaces (CJK Unified Ideographs and their extensions;
/// neither Hangul nor Kana).
bool is_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

CharacterClass classify_ascii(char32_t c) {
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return CharacterClass::kSpace;
  if (c < 0x20 || c == 0x7F) return CharacterClass::kRemoved;
  const bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
  return letter_or_digit ? CharacterClass::kPart : CharacterClass::kAlone;
}

CharacterClass classify(char32_t c) {
  if (c < 0x80) return classify_ascii(c);
  if (c == kReplacementCharacter) return CharacterClass::kRemoved;
  if (is_ideograph(c)) return CharacterClass::kAlone;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
      return CharacterClass::kRemoved;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return CharacterClass::kSpace;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return CharacterClass::kAlone;
    default:
      return CharacterClass::kPart;
  }
}

bool is_nonspacing_mark(char32_t c) {
  return c >= 0x80 && utf8proc_category(static_cast<utf8proc_int32_t>(c)) == UTF8PROC_CATEGORY_MN;
}

void append_lower(std::string& out, char32_t c) {
  // The one character whose lower case is two (SpecialCasing.txt, unconditional).
  if (c == 0x130) {
    out += "i\u0307";
    return;
  }
  append_utf8(out, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
}

/// WordPiece with BERT's basic tokenizer before it (Devlin et al. 2019; Hugging Face's BertNormalizer and
/// BertPreTokenizer are the reference). Character classes are those of utf8proc's Unicode 15; Hugging Face's
/// tables are of Unicode 8, so that 568 characters of rare scripts, nearly all assigned since, are cleaned or
/// split otherwise.
class WordPiece final : public VocabularyTokenizer {
 public:
  explicit WordPiece(const Metadata& metadata);

  std::string piece(TokenId id) const override;
  std::string decode(std::span<const TokenId> ids) const override;
  std::string_view kind() const override { return "wordpiece"; }

 protected:
  void encode_run(std::string_view text, std::vector<TokenId>& ids) const override;
  std::optional<TokenId> first_token() const override {
    return special_.add_bos ? special_.cls : std::nullopt;
  }
  std::optional<TokenId> last_token() const override {
    return special_.add_eos ? special_.sep : std::nullopt;
  }

 private:
  struct Form {
    std::string_view bare;  ///< without a prefix
    bool starts_word;
  };
  Form form(TokenId id) const;
  void sort_tokens();
  void complete_special(const Metadata& metadata);
  std::string normalise(std::string_view text) const;
  std::string clean(std::string_view text) const;
  void encode_word(std::string_view word, int characters, std::vector<TokenId>& ids) const;

  bool lowercase_, strip_accents_;
  bool marks_starts_ = false;  ///< U+2581 before word starts; otherwise ## before continuations
  TokenTable starts_, continuations_;
};

WordPiece::WordPiece(const Metadata& metadata)
    : VocabularyTokenizer(Vocabulary(metadata)),
      lowercase_(metadata.flag("tokenizer.wattle.lowercase").value_or(true)),
      strip_accents_(metadata.flag("tokenizer.wattle.strip_accents").value_or(lowercase_)) {
  sort_tokens();
  complete_special(metadata);
  for (TokenId id = 0; id < size(); ++id) {
    if (vocabulary_.is_marked(id)) mark(form(id).bare, id);
  }
}

/// llama.cpp's converter marks word starts with U+2581 and strips BERT's "##" from continuations; vocab.txt
/// itself is the other way round.
WordPiece::Form WordPiece::form(TokenId id) const {
  const std::string_view text = vocabulary_.text(id);
  const std::string_view prefix = marks_starts_ ? kWordStart : kContinuation;
  const bool prefixed = text.starts_with(prefix);
  return {prefixed ? text.substr(prefix.size()) : text, prefixed == marks_starts_};
}

void WordPiece::sort_tokens() {
  for (TokenId id = 0; id < size(); ++id) marks_starts_ |= vocabulary_.text(id).starts_with(kWordStart);
  for (TokenId id = 0; id < size(); ++id) {
    const auto [bare, starts_word] = form(id);
    if (bare.empty()) continue;
    TokenTable& table = starts_word ? starts_ : continuations_;
    if (!table.insert(bare, id)) {
      fail("{}: tokens {} and {} have the same text; convert or pull the model again", vocabulary_.origin(),
           *table.find(bare), id);
    }
  }
}

void WordPiece::complete_special(const Metadata& metadata) {
  const auto by_text = [&](std::string_view text) -> std::optional<TokenId> {
    for (const TokenTable* table : {&starts_, &continuations_}) {
      if (const auto id = table->find(text)) return id;
    }
    return std::nullopt;
  };
  if (!special_.cls) special_.cls = special_.bos ? special_.bos : by_text("[CLS]");
  if (!special_.sep) special_.sep = special_.eos ? special_.eos : by_text("[SEP]");
  if (!special_.unk) special_.unk = by_text("[UNK]");
  if (!special_.mask) special_.mask = by_text("[MASK]");
  if (!special_.unk) {
    fail(
        "{}: a WordPiece vocabulary needs an unknown token (tokenizer.ggml.unknown_token_id or [UNK]); "
        "convert the "
        "model again",
        vocabulary_.origin());
  }
  special_.add_bos = metadata.flag("tokenizer.ggml.add_bos_token").value_or(true);
  const auto add_sep = metadata.flag("tokenizer.ggml.add_sep_token");
  special_.add_eos = metadata.flag("tokenizer.ggml.add_eos_token").value_or(add_sep.value_or(true));
}

/// Control characters go, white space becomes a space, ideographs get spaces round them.
std::string WordPiece::clean(std::string_view text) const {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter character = decode_utf8(text, i);
    const CharacterClass kind = classify(character.value);
    if (kind == CharacterClass::kSpace) {
      out += ' ';
    } else if (is_ideograph(character.value)) {
      out += ' ';
      out.append(text, i, character.bytes);
      out += ' ';
    } else if (kind != CharacterClass::kRemoved) {
      out.append(text, i, character.bytes);
    }
    i += character.bytes;
  }
  return out;
}

std::string WordPiece::normalise(std::string_view text) const {
  std::string cleaned = clean(text);
  if (is_ascii(cleaned)) {
    if (lowercase_) {
      std::transform(cleaned.begin(), cleaned.end(), cleaned.begin(),
                     [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    }
    return cleaned;
  }
  if (strip_accents_) cleaned = to_nfd(cleaned);
  if (!strip_accents_ && !lowercase_) return cleaned;
  std::string out;
  out.reserve(cleaned.size());
  for (size_t i = 0; i < cleaned.size();) {
    const DecodedCharacter character = decode_utf8(cleaned, i);
    i += character.bytes;
    if (strip_accents_ && is_nonspacing_mark(character.value)) continue;
    if (lowercase_) {
      append_lower(out, character.value);
    } else {
      append_utf8(out, character.value);
    }
  }
  return out;
}

void WordPiece::encode_run(std::string_view text, std::vector<TokenId>& ids) const {
  const std::string normal = normalise(text);
  const std::string_view view = normal;
  size_t begin = 0;
  int characters = 0;
  const auto finish_word = [&](size_t end) {
    if (characters > 0) encode_word(view.substr(begin, end - begin), characters, ids);
    characters = 0;
  };
  for (size_t i = 0; i < view.size();) {
    const DecodedCharacter character = decode_utf8(view, i);
    const CharacterClass kind = classify(character.value);
    const size_t next = i + character.bytes;
    // An ideograph stands alone already by the spaces that clean() put round it.
    if (kind == CharacterClass::kSpace || kind == CharacterClass::kAlone) {
      finish_word(i);
      if (kind == CharacterClass::kAlone) encode_word(view.substr(i, character.bytes), 1, ids);
    } else {
      if (characters++ == 0) begin = i;
    }
    i = next;
  }
  finish_word(view.size());
}

/// The longest token that begins the word, then the longest continuation of what is left, and so on.
void WordPiece::encode_word(std::string_view word, int characters, std::vector<TokenId>& ids) const {
  const size_t before = ids.size();
  bool known = characters <= kLongestWord;
  for (size_t begin = 0; known && begin < word.size();) {
    const TokenTable& table = begin == 0 ? starts_ : continuations_;
    std::optional<TokenId> found;
    size_t length = std::min(word.size() - begin, table.longest());
    for (; length > 0 && !found; found ? 0 : --length) found = table.find(word.substr(begin, length));
    known = found.has_value();
    if (known) ids.push_back(*found);
    begin += length;
  }
  if (known) return;
  ids.resize(before);
  ids.push_back(*special_.unk);
}

std::string WordPiece::piece(TokenId id) const {
  if (!vocabulary_.contains(id) || vocabulary_.is_control(id)) return {};
  const auto [bare, starts_word] = form(id);
  std::string piece(starts_word ? " " : "");
  return piece += bare;
}

std::string WordPiece::decode(std::span<const TokenId> ids) const {
  std::string text = VocabularyTokenizer::decode(ids);
  if (text.starts_with(' ')) text.erase(0, 1);
  return text;
}

}  // namespace

std::unique_ptr<Tokenizer> make_wordpiece(const Metadata& metadata) {
  return std::make_unique<WordPiece>(metadata);
}

}  // namespace wattle
