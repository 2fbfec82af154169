#include <algorithm>
#include <limits>
#include <optional>

#include <wattle/error.h>

#include "text/prefix_trie.h"
#include "text/token_model.h"
#include "text/unicode.h"
#include "text/word_states.h"

namespace wattle::inline text {
namespace {

constexpr double kUnknownPenalty = 10;  // of both references

/// The unigram model (Kudo 2018): of all ways to cut a piece the one with the greatest sum of scores. `Score`
/// is float for SentencePiece and double for Hugging Face's tokenizers, as the references add them.
template <typename Score>
class Unigram final : public TokenModel {
 public:
  Unigram(const ModelSource& source, bool sentencepiece)
      : trie_(tokens_of(source, sentencepiece)), states_(source.vocabulary.size()) {
    const Vocabulary& vocabulary = source.vocabulary;
    const std::vector<double> scores = read_scores(source);
    scores_.assign(scores.begin(), scores.end());
    Score lowest = std::numeric_limits<Score>::max(), highest = std::numeric_limits<Score>::lowest();
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (sentencepiece ? vocabulary.type(id) != TokenType::kNormal : !vocabulary.is_real(id)) continue;
      lowest = std::min(lowest, scores_[static_cast<size_t>(id)]);
      highest = std::max(highest, scores_[static_cast<size_t>(id)]);
    }
    unknown_score_ = lowest - static_cast<Score>(kUnknownPenalty);
    if (sentencepiece) favour_user_defined(vocabulary, highest);
    bytes_ = ByteTokens(vocabulary);
    spells_bytes_ = source.json.flag("byte_fallback").value_or(false) && bytes_.complete();
    read_unknown(source);
  }

  void encode(std::string_view piece, std::vector<TokenPlace>& tokens) const override;
  std::string_view kind() const override { return "unigram"; }

 private:
  struct Node {
    Score score = 0;
    int32_t begin = -1;
    TokenId id = -1;  ///< -1: unknown
  };

  static std::vector<std::pair<std::string_view, TokenId>> tokens_of(const ModelSource& source,
                                                                     bool sentencepiece) {
    std::vector<std::pair<std::string_view, TokenId>> tokens;
    for (TokenId id = 0; id < source.vocabulary.size(); ++id) {
      const TokenType type = source.vocabulary.type(id);
      const bool wanted = sentencepiece ? type == TokenType::kNormal || type == TokenType::kUserDefined
                                        : source.vocabulary.is_plain(id) || type == TokenType::kUnknown;
      if (wanted) tokens.emplace_back(source.vocabulary.text(id), id);
    }
    return tokens;
  }

  /// A user-defined symbol is better than any way to cut it (sentencepiece, src/unigram_model.cc).
  void favour_user_defined(const Vocabulary& vocabulary, Score highest) {
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (vocabulary.type(id) != TokenType::kUserDefined) continue;
      scores_[static_cast<size_t>(id)] =
          static_cast<Score>(vocabulary.text(id).size()) * highest - static_cast<Score>(0.1);
    }
  }

  void read_unknown(const ModelSource& source) {
    unknown_ = source.vocabulary.special().unk;
    if (const auto id = source.json.integer("unk_id")) {
      if (*id < 0 || *id >= source.vocabulary.size()) {
        fail("{}: the unknown token {} is not one of the {} tokens; get the file again", source.json.origin(),
             *id, source.vocabulary.size());
      }
      unknown_ = static_cast<TokenId>(*id);
    }
    if (unknown_) unknown_text_ = source.vocabulary.text(*unknown_);
    if (!unknown_ && !spells_bytes_) {
      fail(
          "{}: a unigram vocabulary needs an unknown token or all 256 byte tokens; convert or get the model "
          "again",
          source.metadata.origin());
    }
  }

  void find_best(std::string_view piece, std::vector<Node>& best) const;
  void append_unknown(std::string_view piece, uint32_t begin, uint32_t end,
                      std::vector<TokenPlace>& tokens) const;

  PrefixTrie trie_;
  std::vector<Score> scores_;
  Score unknown_score_ = 0;
  std::optional<TokenId> unknown_;
  std::string unknown_text_;
  ByteTokens bytes_;
  bool spells_bytes_ = false;
  WordStates states_;
};

template <typename Score>
void Unigram<Score>::find_best(std::string_view piece, std::vector<Node>& best) const {
  best.assign(piece.size() + 1, {});
  for (size_t begin = 0; begin < piece.size();) {
    const size_t character = decode_utf8(piece, begin).bytes;
    const Score here = best[begin].score;
    bool has_single = false;
    const auto consider = [&](size_t length, Score score, TokenId id) {
      Node& node = best[begin + length];
      const Score sum = score + here;
      if (node.begin < 0 || sum > node.score)
        node = {sum, static_cast<int32_t>(begin), id == unknown_ ? -1 : id};
    };
    trie_.for_each_prefix(piece.substr(begin), [&](size_t length, TokenId id) {
      consider(length, scores_[static_cast<size_t>(id)], id);
      has_single = has_single || length == character;
    });
    if (!has_single) consider(character, unknown_score_, -1);
    begin += character;
  }
}

template <typename Score>
void Unigram<Score>::append_unknown(std::string_view piece, uint32_t begin, uint32_t end,
                                    std::vector<TokenPlace>& tokens) const {
  const bool written_out = unknown_ && piece.substr(begin, end - begin) == unknown_text_;
  if (!spells_bytes_ || written_out) return tokens.push_back({*unknown_, begin, end});
  for (const char byte : piece.substr(begin, end - begin)) {
    tokens.push_back({bytes_.ids[static_cast<uint8_t>(byte)], begin, end});
  }
}

template <typename Score>
void Unigram<Score>::encode(std::string_view piece, std::vector<TokenPlace>& tokens) const {
  static thread_local std::vector<Node> best;
  static thread_local std::vector<TokenPlace> path;
  TokenId whole = -1;
  trie_.for_each_prefix(piece, [&](size_t length, TokenId id) {
    if (length == piece.size()) whole = id;
  });
  const auto size = static_cast<uint32_t>(piece.size());
  if (whole >= 0 && states_.get(whole) == WordStates::kWhole) return tokens.push_back({whole, 0, size});
  find_best(piece, best);
  path.clear();
  for (uint32_t end = size; end > 0;) {
    const Node& node = best[end];
    const auto begin = static_cast<uint32_t>(node.begin);
    // Neighbours without a token are one unknown.
    if (node.id < 0 && !path.empty() && path.back().id < 0) {
      path.back().begin = begin;
    } else {
      path.push_back({node.id, begin, end});
    }
    end = begin;
  }
  std::reverse(path.begin(), path.end());
  if (whole >= 0) {
    states_.set(whole, path.size() == 1 && path[0].id == whole ? WordStates::kWhole : WordStates::kCut);
  }
  for (const TokenPlace& place : path) {
    if (place.id >= 0) {
      tokens.push_back(place);
    } else {
      append_unknown(piece, place.begin, place.end, tokens);
    }
  }
}

}  // namespace

std::unique_ptr<TokenModel> make_unigram(const ModelSource& source) {
  const bool sentencepiece = source.json.text("type") == "SentencePieceUnigram";
  if (sentencepiece) return std::make_unique<Unigram<float>>(source, true);
  return std::make_unique<Unigram<double>>(source, false);
}

}  // namespace wattle::inline text
