#include <algorithm>
#include <array>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include <wattle/error.h>

#include "text/merge.h"
#include "text/unicode.h"
#include "text/vocabulary_tokenizer.h"
#include "text/word_states.h"

namespace wattle {
namespace {

constexpr std::string_view kSpace = "\u2581";  // what SentencePiece writes for a space
constexpr char32_t kSpaceCharacter = 0x2581;

/// Every space as U+2581.
void escape_spaces(std::string& text) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  for (const char c : text) {
    if (c == ' ') {
      out += kSpace;
    } else {
      out += c;
    }
  }
  text = std::move(out);
}

std::string unescape_spaces(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const bool space = text.substr(i).starts_with(kSpace);
    out += space ? ' ' : text[i];
    i += space ? kSpace.size() : 1;
  }
  return out;
}

/// The BPE model of SentencePiece (Kudo and Richardson 2018) from the pieces and scores that GGUF keeps of
/// it: the pair whose piece has the highest score is joined first, and what no piece covers is spelt in
/// bytes.
class SentencePiece final : public VocabularyTokenizer {
 public:
  explicit SentencePiece(const Metadata& metadata);

  std::string piece(TokenId id) const override;
  std::string decode(std::span<const TokenId> ids) const override;
  std::string_view kind() const override { return "sentencepiece"; }

 protected:
  void encode_run(std::string_view text, std::vector<TokenId>& ids) const override;
  void prepare(std::string& part) const override { escape_spaces(part); }

 private:
  using Halves = std::unordered_map<std::string_view, std::pair<std::string_view, std::string_view>>;

  void read_scores(const Metadata& metadata);
  void find_byte_tokens();
  void find_inner_spaces();
  void encode_words(std::string_view text, std::vector<TokenId>& ids) const;
  void encode_word(std::string_view word, std::vector<Symbol>& symbols, std::vector<TokenId>& ids) const;
  void merge_word(std::string_view word, std::vector<Symbol>& symbols, Halves& halves) const;
  void append_piece(std::string_view text, const Halves& halves, std::vector<TokenId>& ids) const;
  void append_unknown(std::string_view text, std::vector<TokenId>& ids) const;

  bool add_space_prefix_;
  std::vector<float> scores_;
  SpecialMatcher user_defined_;
  TokenTable pieces_;
  std::array<TokenId, 256> byte_ids_{};
  bool spells_bytes_ = false;
  /// Characters after which some piece has a space: only there may a piece reach over the beginning of a
  /// word.
  std::unordered_set<char32_t> before_inner_space_;
  WordStates states_;
};

SentencePiece::SentencePiece(const Metadata& metadata)
    : VocabularyTokenizer(Vocabulary(metadata)),
      add_space_prefix_(metadata.flag("tokenizer.ggml.add_space_prefix").value_or(true)),
      states_(vocabulary_.size()) {
  special_.add_bos = metadata.flag("tokenizer.ggml.add_bos_token").value_or(true);
  read_scores(metadata);
  find_byte_tokens();
  // GGUF keeps these with plain spaces; here all pieces are in the escaped form of the text.
  for (TokenId id = 0; id < size(); ++id) {
    if (!vocabulary_.is_marked(id)) continue;
    std::string text = vocabulary_.text(id);
    escape_spaces(text);
    vocabulary_.set_text(id, std::move(text));
    if (vocabulary_.is_control(id)) {
      mark(vocabulary_.text(id), id);
    } else {
      user_defined_.add(vocabulary_.text(id), id);
    }
  }
  pieces_ = vocabulary_.table([&](TokenId id) {
    const TokenType type = vocabulary_.type(id);
    return type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
  });
  find_inner_spaces();
}

void SentencePiece::read_scores(const Metadata& metadata) {
  const auto scores = metadata.numbers("tokenizer.ggml.scores");
  if (scores.size() != static_cast<size_t>(size())) {
    fail("{}: {} tokens but {} scores (tokenizer.ggml.scores); convert or pull the model again",
         metadata.origin(), size(), scores.size());
  }
  if (std::any_of(scores.begin(), scores.end(), [](double score) { return score != score; })) {
    fail("{}: a score (tokenizer.ggml.scores) is not a number; convert or pull the model again",
         metadata.origin());
  }
  scores_.assign(scores.begin(), scores.end());
}

void SentencePiece::find_byte_tokens() {
  byte_ids_.fill(-1);
  for (TokenId id = 0; id < size(); ++id) {
    if (vocabulary_.type(id) != TokenType::kByte) continue;
    const std::string& text = vocabulary_.text(id);
    unsigned value = 0;
    const bool formed = text.size() == 6 && text.starts_with("<0x") && text.back() == '>' &&
                        std::from_chars(text.data() + 3, text.data() + 5, value, 16).ptr == text.data() + 5;
    if (!formed) {
      fail("{}: byte token {} is not of the form <0x0A>; convert or pull the model again",
           vocabulary_.origin(), id);
    }
    byte_ids_[value] = id;
  }
  spells_bytes_ = std::all_of(byte_ids_.begin(), byte_ids_.end(), [](TokenId id) { return id >= 0; });
  if (!spells_bytes_ && !special_.unk) {
    fail(
        "{}: a SentencePiece vocabulary needs all 256 byte tokens or tokenizer.ggml.unknown_token_id; "
        "convert or pull "
        "the model again",
        vocabulary_.origin());
  }
}

void SentencePiece::find_inner_spaces() {
  for (TokenId id = 0; id < size(); ++id) {
    if (vocabulary_.type(id) != TokenType::kNormal && vocabulary_.type(id) != TokenType::kUnused) continue;
    const std::string& text = vocabulary_.text(id);
    char32_t previous = kSpaceCharacter;
    for (size_t i = 0; i < text.size();) {
      const DecodedCharacter c = decode_utf8(text, i);
      if (c.value == kSpaceCharacter && previous != kSpaceCharacter) before_inner_space_.insert(previous);
      previous = c.value;
      i += c.bytes;
    }
  }
}

/// The space before a text is there before user-defined pieces are looked for, so one of two spaces may take
/// it in.
void SentencePiece::encode_run(std::string_view text, std::vector<TokenId>& ids) const {
  std::string prefixed;
  if (add_space_prefix_) {
    prefixed = std::string(kSpace) + std::string(text);
    text = prefixed;
  }
  size_t run = 0;
  for (size_t position = 0; position < text.size();) {
    const auto match = user_defined_.longest_at(text, position, [](TokenId, size_t) { return true; });
    if (match) {
      encode_words(text.substr(run, position - run), ids);
      ids.push_back(match->id);
      run = position + match->length;
    }
    position += match ? match->length : 1;
  }
  encode_words(text.substr(run), ids);
}

/// Words are cut where no piece reaches over, so that merging each alone gives what merging the whole text
/// would.
void SentencePiece::encode_words(std::string_view text, std::vector<TokenId>& ids) const {
  std::vector<Symbol> symbols;
  char32_t previous = kSpaceCharacter;
  size_t word = 0;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text, i);
    if (c.value == kSpaceCharacter && previous != kSpaceCharacter &&
        !before_inner_space_.contains(previous)) {
      encode_word(text.substr(word, i - word), symbols, ids);
      word = i;
    }
    previous = c.value;
    i += c.bytes;
  }
  if (word < text.size()) encode_word(text.substr(word), symbols, ids);
}

void SentencePiece::encode_word(std::string_view word, std::vector<Symbol>& symbols,
                                std::vector<TokenId>& ids) const {
  auto whole = pieces_.find(word);
  if (whole && vocabulary_.type(*whole) == TokenType::kUnused) whole.reset();
  if (whole && states_.get(*whole) == WordStates::kWhole) {
    ids.push_back(*whole);
    return;
  }
  Halves halves;
  merge_word(word, symbols, halves);
  for (const Symbol& symbol : symbols) {
    if (symbol.length > 0) append_piece(word.substr(symbol.begin, symbol.length), halves, ids);
  }
  if (whole) states_.set(*whole, symbols[0].length == word.size() ? WordStates::kWhole : WordStates::kCut);
}

void SentencePiece::merge_word(std::string_view word, std::vector<Symbol>& symbols, Halves& halves) const {
  symbols.clear();
  for (size_t i = 0; i < word.size();) {
    const uint32_t bytes = decode_utf8(word, i).bytes;
    symbols.push_back({static_cast<uint32_t>(i), bytes});
    i += bytes;
  }
  merge_symbols<float>(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Joined<float>> {
    const std::string_view text = word.substr(left.begin, left.length + right.length);
    const auto id = pieces_.find(text);
    if (!id) return std::nullopt;
    if (vocabulary_.type(*id) == TokenType::kUnused) {
      halves[text] = {word.substr(left.begin, left.length), word.substr(right.begin, right.length)};
    }
    return Joined<float>{-scores_[static_cast<size_t>(*id)], *id};
  });
}

/// Unused pieces help merging but are not given out: they fall back into the halves they were made of.
void SentencePiece::append_piece(std::string_view text, const Halves& halves,
                                 std::vector<TokenId>& ids) const {
  const auto id = pieces_.find(text);
  if (!id) {
    append_unknown(text, ids);
    return;
  }
  const auto half = vocabulary_.type(*id) == TokenType::kUnused ? halves.find(text) : halves.end();
  if (half == halves.end()) {
    ids.push_back(*id);
    return;
  }
  append_piece(half->second.first, halves, ids);
  append_piece(half->second.second, halves, ids);
}

void SentencePiece::append_unknown(std::string_view text, std::vector<TokenId>& ids) const {
  if (spells_bytes_) {
    for (const char byte : text) ids.push_back(byte_ids_[static_cast<uint8_t>(byte)]);
  } else if (ids.empty() || ids.back() != *special_.unk) {  // neighbours without a piece are one unknown
    ids.push_back(*special_.unk);
  }
}

std::string SentencePiece::piece(TokenId id) const {
  if (!vocabulary_.contains(id) || vocabulary_.is_control(id)) return {};
  const std::string& text = vocabulary_.text(id);
  if (vocabulary_.type(id) == TokenType::kByte) {
    unsigned value = 0;
    std::from_chars(text.data() + 3, text.data() + 5, value, 16);
    return std::string(1, static_cast<char>(value));
  }
  return unescape_spaces(text);
}

std::string SentencePiece::decode(std::span<const TokenId> ids) const {
  std::string text = VocabularyTokenizer::decode(ids);
  if (add_space_prefix_ && text.starts_with(' ')) text.erase(0, 1);
  return text;
}

}  // namespace

std::unique_ptr<Tokenizer> make_sentencepiece(const Metadata& metadata) {
  return std::make_unique<SentencePiece>(metadata);
}

}  // namespace wattle
