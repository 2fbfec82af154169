#include <algorithm>
#include <unordered_map>

#include <wattle/error.h>

#include "text/merge.h"
#include "text/special_matcher.h"
#include "text/token_model.h"
#include "text/unicode.h"
#include "text/word_cuts.h"
#include "text/word_states.h"

namespace wattle::inline text {
namespace {

/// The BPE model of SentencePiece (Kudo and Richardson 2018) from its pieces and scores: the pair whose piece
/// has the highest score is joined first, and what no piece covers is spelt in bytes.
class SentencePieceBpe final : public TokenModel {
 public:
  explicit SentencePieceBpe(const ModelSource& source);
  void encode(std::string_view piece, std::vector<TokenPlace>& tokens) const override;
  std::string_view kind() const override { return "sentencepiece"; }

 private:
  using Halves = std::unordered_map<std::string_view, std::pair<std::string_view, std::string_view>>;
  /// A word that is cut, and where it stands in the piece.
  struct Word {
    std::string_view text;
    uint32_t begin;
    std::vector<TokenPlace>& tokens;
    Halves halves;
  };

  void encode_words(std::string_view text, uint32_t begin, std::vector<TokenPlace>& tokens) const;
  void encode_word(Word word, std::vector<Symbol>& symbols) const;
  void merge_word(Word& word, std::vector<Symbol>& symbols) const;
  void append_piece(std::string_view text, Word& word) const;
  void append_unknown(std::string_view text, uint32_t begin, std::vector<TokenPlace>& tokens) const;

  const Vocabulary& vocabulary_;
  std::vector<float> scores_;
  SpecialMatcher user_defined_;
  TokenTable pieces_;
  ByteTokens bytes_;
  bool spells_bytes_ = false;
  TokenId unknown_ = -1;
  WordCuts cuts_;
  WordStates states_;
};

SentencePieceBpe::SentencePieceBpe(const ModelSource& source)
    : vocabulary_(source.vocabulary), cuts_(vocabulary_), states_(vocabulary_.size()) {
  const std::vector<double> scores = read_scores(source);
  scores_.assign(scores.begin(), scores.end());
  for (TokenId id = 0; id < vocabulary_.size(); ++id) {
    const TokenType type = vocabulary_.type(id);
    if (type == TokenType::kUserDefined) user_defined_.add(vocabulary_.text(id), id);
    if (type != TokenType::kByte) continue;
    const int byte = named_byte(vocabulary_.text(id));
    if (byte < 0) {
      fail("{}: byte token {} is not of the form <0x0A>; convert or pull the model again",
           source.metadata.origin(), id);
    }
    bytes_.ids[static_cast<size_t>(byte)] = id;
  }
  spells_bytes_ = bytes_.complete();
  if (!spells_bytes_ && !vocabulary_.special().unk) {
    fail(
        "{}: a SentencePiece vocabulary needs all 256 byte tokens or tokenizer.ggml.unknown_token_id; "
        "convert or pull "
        "the model again",
        source.metadata.origin());
  }
  if (!spells_bytes_) unknown_ = *vocabulary_.special().unk;
  pieces_ = vocabulary_.table([&](TokenId id) {
    const TokenType type = vocabulary_.type(id);
    return type == TokenType::kNormal || type == TokenType::kUserDefined || type == TokenType::kUnused;
  });
}

void SentencePieceBpe::encode(std::string_view piece, std::vector<TokenPlace>& tokens) const {
  size_t run = 0;
  for (size_t position = 0; position < piece.size();) {
    const auto match = user_defined_.longest_at(piece, position, [](TokenId, size_t) { return true; });
    if (match) {
      encode_words(piece.substr(run, position - run), static_cast<uint32_t>(run), tokens);
      run = position + match->length;
      tokens.push_back({match->id, static_cast<uint32_t>(position), static_cast<uint32_t>(run)});
    }
    position += match ? match->length : 1;
  }
  encode_words(piece.substr(run), static_cast<uint32_t>(run), tokens);
}

void SentencePieceBpe::encode_words(std::string_view text, uint32_t begin,
                                    std::vector<TokenPlace>& tokens) const {
  std::vector<Symbol> symbols;
  const auto word = [&](size_t from, size_t to) {
    encode_word({text.substr(from, to - from), begin + static_cast<uint32_t>(from), tokens, {}}, symbols);
  };
  if (cuts_.has_any()) {
    cuts_.for_each(text, word);
  } else if (!text.empty()) {
    word(0, text.size());
  }
}

void SentencePieceBpe::encode_word(Word word, std::vector<Symbol>& symbols) const {
  auto whole = pieces_.find(word.text);
  if (whole && vocabulary_.type(*whole) == TokenType::kUnused) whole.reset();
  if (whole && states_.get(*whole) == WordStates::kWhole) {
    word.tokens.push_back({*whole, word.begin, word.begin + static_cast<uint32_t>(word.text.size())});
    return;
  }
  merge_word(word, symbols);
  for (const Symbol& symbol : symbols) {
    if (symbol.length > 0) append_piece(word.text.substr(symbol.begin, symbol.length), word);
  }
  if (whole) {
    states_.set(*whole, symbols[0].length == word.text.size() ? WordStates::kWhole : WordStates::kCut);
  }
}

void SentencePieceBpe::merge_word(Word& word, std::vector<Symbol>& symbols) const {
  symbols.clear();
  for (size_t i = 0; i < word.text.size();) {
    const uint32_t bytes = decode_utf8(word.text, i).bytes;
    symbols.push_back({static_cast<uint32_t>(i), bytes});
    i += bytes;
  }
  merge_symbols<float>(symbols, [&](const Symbol& left, const Symbol& right) -> std::optional<Joined<float>> {
    const std::string_view text = word.text.substr(left.begin, left.length + right.length);
    const auto id = pieces_.find(text);
    if (!id) return std::nullopt;
    if (vocabulary_.type(*id) == TokenType::kUnused) {
      word.halves[text] = {word.text.substr(left.begin, left.length),
                           word.text.substr(right.begin, right.length)};
    }
    return Joined<float>{-scores_[static_cast<size_t>(*id)], *id};
  });
}

/// Unused pieces help merging but are not given out: they fall back into the halves they were made of.
void SentencePieceBpe::append_piece(std::string_view text, Word& word) const {
  const auto begin = word.begin + static_cast<uint32_t>(text.data() - word.text.data());
  const auto id = pieces_.find(text);
  if (!id) return append_unknown(text, begin, word.tokens);
  const auto half = vocabulary_.type(*id) == TokenType::kUnused ? word.halves.find(text) : word.halves.end();
  if (half == word.halves.end()) {
    word.tokens.push_back({*id, begin, begin + static_cast<uint32_t>(text.size())});
    return;
  }
  // The halves of a text elsewhere in the word are the same texts; their places are found from this one.
  const size_t cut = half->second.first.size();
  append_piece(text.substr(0, cut), word);
  append_piece(text.substr(cut), word);
}

void SentencePieceBpe::append_unknown(std::string_view text, uint32_t begin,
                                      std::vector<TokenPlace>& tokens) const {
  const auto end = begin + static_cast<uint32_t>(text.size());
  if (spells_bytes_) {
    for (const char byte : text) tokens.push_back({bytes_.ids[static_cast<uint8_t>(byte)], begin, end});
  } else if (!tokens.empty() && tokens.back().id == unknown_) {  // neighbours without a piece are one unknown
    tokens.back().end = end;
  } else {
    tokens.push_back({unknown_, begin, end});
  }
}

}  // namespace

std::unique_ptr<TokenModel> make_sentencepiece_bpe(const ModelSource& source) {
  return std::make_unique<SentencePieceBpe>(source);
}

}  // namespace wattle::inline text
