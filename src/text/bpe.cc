#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include <wattle/error.h>

#include "base/utf8.h"
#include "text/merge.h"
#include "text/normalizer.h"
#include "text/token_model.h"
#include "text/unicode.h"
#include "text/word_cuts.h"
#include "text/word_states.h"

namespace wattle::inline text {
namespace {

/// The bytes that a token's text stands for; nullopt when it uses other characters than the stand-ins.
std::optional<std::string> to_bytes(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text, i);
    const int byte = stood_for(c.value);
    if (byte < 0) return std::nullopt;
    bytes += static_cast<char>(byte);
    i += c.bytes;
  }
  return bytes;
}

/// Pair of tokens -> rank and token of its merge. Open addressing, at most three quarters full.
class MergeTable {
 public:
  explicit MergeTable(size_t expected)
      : slots_(std::bit_ceil(std::max<size_t>(16, expected + expected / 3 + 1))), mask_(slots_.size() - 1) {}

  /// An earlier merge of the same pair has the lower rank and stays.
  void insert(TokenId left, TokenId right, Joined<uint32_t> joined) {
    Slot& slot = slots_[find_slot(key(left, right))];
    if (slot.key == kFree) slot = {key(left, right), joined};
  }
  std::optional<Joined<uint32_t>> find(TokenId left, TokenId right) const {
    const Slot& slot = slots_[find_slot(key(left, right))];
    if (slot.key == kFree) return std::nullopt;
    return slot.joined;
  }

 private:
  static constexpr uint64_t kFree = ~uint64_t{0};
  struct Slot {
    uint64_t key = kFree;
    Joined<uint32_t> joined{};
  };
  static uint64_t key(TokenId left, TokenId right) {
    return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32) | static_cast<uint32_t>(right);
  }
  size_t find_slot(uint64_t key) const {
    size_t slot = ((key * 0x9E3779B97F4A7C15u) >> 32) & mask_;  // Fibonacci hashing
    while (slots_[slot].key != kFree && slots_[slot].key != key) slot = (slot + 1) & mask_;
    return slot;
  }

  std::vector<Slot> slots_;
  size_t mask_;
};

/// Byte-pair encoding by ranked merges (Sennrich et al. 2016; Radford et al. 2019 over bytes).
class Bpe final : public TokenModel {
 public:
  explicit Bpe(const ModelSource& source);
  void encode(std::string_view piece, std::vector<TokenPlace>& tokens) const override;
  std::string_view kind() const override { return "bpe"; }

 private:
  void read_options(const ModelSource& source);
  void read_words(const ModelSource& source);
  void read_merges(const ModelSource& source);
  void encode_word(std::string_view word, uint32_t offset, std::vector<TokenPlace>& tokens) const;
  void begin_with_bytes(std::string_view word, std::vector<Symbol>& symbols) const;
  void begin_with_characters(std::string_view word, std::vector<Symbol>& symbols) const;
  std::optional<TokenId> character_token(std::string_view character, bool first, bool last) const;

  TokenTable words_;
  std::vector<std::string> byte_texts_;  ///< where pieces come as bytes: what `words_` views
  MergeTable merges_;
  std::array<TokenId, 256> byte_ids_{};  ///< of single bytes, where pieces come as bytes
  ByteTokens byte_tokens_;               ///< of byte fallback
  std::string prefix_, suffix_;
  std::optional<TokenId> unknown_;
  bool raw_bytes_, ignore_merges_ = false, fuse_unknown_ = false, byte_fallback_ = false;
  WordCuts cuts_;
  WordStates states_;
};

Bpe::Bpe(const ModelSource& source)
    : merges_(source.metadata.strings("tokenizer.ggml.merges").size()),
      raw_bytes_(source.raw_bytes),
      states_(source.vocabulary.size()) {
  prefix_ = source.json.text("continuing_subword_prefix").value_or("");
  suffix_ = source.json.text("end_of_word_suffix").value_or("");
  // Stand-ins with a prefix or suffix are no bytes.
  if (!prefix_.empty() || !suffix_.empty()) raw_bytes_ = false;
  read_merges(source);
  read_words(source);
  read_options(source);
}

void Bpe::read_options(const ModelSource& source) {
  if (const auto dropout = source.json.number("dropout"); dropout && *dropout != 0) {
    fail(
        "{}: the tokenizer drops merges at random (dropout {}), which is for training alone; use another "
        "model",
        source.json.origin(), *dropout);
  }
  ignore_merges_ = source.json.flag("ignore_merges").value_or(false);
  fuse_unknown_ = source.json.flag("fuse_unk").value_or(false);
  byte_fallback_ = source.json.flag("byte_fallback").value_or(false);
  if (const auto text = source.json.text("unk_token"); text && !text->empty()) {
    unknown_ = need_unknown(source, *text, "BPE");
  }
}

void Bpe::read_words(const ModelSource& source) {
  const Vocabulary& vocabulary = source.vocabulary;
  if (!raw_bytes_) {
    words_ = vocabulary.table([&](TokenId id) { return vocabulary.is_plain(id); });
    byte_tokens_ = ByteTokens(vocabulary);
    cuts_ = WordCuts(vocabulary);
    return;
  }
  byte_texts_.resize(static_cast<size_t>(vocabulary.size()));
  words_ = TokenTable(byte_texts_.size());
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    if (!vocabulary.is_plain(id)) continue;
    auto bytes = to_bytes(vocabulary.text(id));
    if (!bytes) continue;  // no piece has such characters
    byte_texts_[static_cast<size_t>(id)] = std::move(*bytes);
    words_.insert(byte_texts_[static_cast<size_t>(id)], id);
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    byte_ids_[static_cast<size_t>(byte)] = words_.find({&text, 1}).value_or(-1);
  }
}

void Bpe::read_merges(const ModelSource& source) {
  const std::string& origin = source.metadata.origin();
  const TokenTable tokens =
      source.vocabulary.table([&](TokenId id) { return source.vocabulary.is_real(id); });
  const auto merges = source.metadata.strings("tokenizer.ggml.merges");
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      fail("{}: merge {} is not two texts with a space between; convert or pull the model again", origin,
           rank);
    }
    const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    if (right.size() < prefix_.size()) {
      fail("{}: merge {} lacks the prefix \"{}\"; convert or pull the model again", origin, rank, prefix_);
    }
    const auto left_id = tokens.find(left), right_id = tokens.find(right),
               joined_id = tokens.find(std::string(left) + std::string(right.substr(prefix_.size())));
    if (!left_id || !right_id || !joined_id) {
      fail(
          "{}: merge {} ({}) uses or makes a token that the vocabulary lacks; convert or pull the model "
          "again",
          origin, rank, repaired_utf8(merge));
    }
    merges_.insert(*left_id, *right_id, {static_cast<uint32_t>(rank), *joined_id});
  }
}

void Bpe::encode(std::string_view piece, std::vector<TokenPlace>& tokens) const {
  if (raw_bytes_ || ignore_merges_ || !suffix_.empty() || !prefix_.empty() || !cuts_.has_any()) {
    return encode_word(piece, 0, tokens);
  }
  cuts_.for_each(piece, [&](size_t begin, size_t end) {
    encode_word(piece.substr(begin, end - begin), static_cast<uint32_t>(begin), tokens);
  });
}

void Bpe::encode_word(std::string_view word, uint32_t offset, std::vector<TokenPlace>& tokens) const {
  const auto whole = suffix_.empty() || ignore_merges_ ? words_.find(word) : std::nullopt;
  if (whole && (ignore_merges_ || states_.get(*whole) == WordStates::kWhole)) {
    tokens.push_back({*whole, offset, offset + static_cast<uint32_t>(word.size())});
    return;
  }
  static thread_local std::vector<Symbol> symbols;
  symbols.clear();
  if (raw_bytes_) {
    begin_with_bytes(word, symbols);
  } else {
    begin_with_characters(word, symbols);
  }
  merge_symbols<uint32_t>(
      symbols, [&](const Symbol& left, const Symbol& right) { return merges_.find(left.id, right.id); });
  const size_t before = tokens.size();
  for (const Symbol& symbol : symbols) {
    if (symbol.length == 0) continue;
    tokens.push_back({symbol.id, offset + symbol.begin, offset + symbol.begin + symbol.length});
  }
  if (whole) {
    const bool one = tokens.size() == before + 1 && tokens.back().id == *whole;
    states_.set(*whole, one ? WordStates::kWhole : WordStates::kCut);
  }
}

/// Bytes without a token are dropped where there is no unknown token.
void Bpe::begin_with_bytes(std::string_view word, std::vector<Symbol>& symbols) const {
  bool in_unknown = false;
  for (size_t i = 0; i < word.size(); ++i) {
    const TokenId id = byte_ids_[static_cast<uint8_t>(word[i])];
    if (id >= 0) {
      symbols.push_back({static_cast<uint32_t>(i), 1, id});
    } else if (unknown_ && in_unknown && fuse_unknown_) {
      ++symbols.back().length;
    } else if (unknown_) {
      symbols.push_back({static_cast<uint32_t>(i), 1, *unknown_});
    }
    in_unknown = id < 0;
  }
}

std::optional<TokenId> Bpe::character_token(std::string_view character, bool first, bool last) const {
  if ((first || prefix_.empty()) && (!last || suffix_.empty())) return words_.find(character);
  std::string text = first ? "" : prefix_;
  text += character;
  if (last) text += suffix_;
  return words_.find(text);
}

void Bpe::begin_with_characters(std::string_view word, std::vector<Symbol>& symbols) const {
  bool in_unknown = false;
  for (size_t i = 0; i < word.size();) {
    const uint32_t bytes = decode_utf8(word, i).bytes;
    const auto begin = static_cast<uint32_t>(i);
    const std::string_view character = word.substr(i, bytes);
    i += bytes;
    const auto id = character_token(character, begin == 0, i == word.size());
    if (id) {
      symbols.push_back({begin, bytes, *id});
      in_unknown = false;
      continue;
    }
    const auto byte_id = [&](char byte) { return byte_tokens_.ids[static_cast<uint8_t>(byte)]; };
    if (byte_fallback_ &&
        std::all_of(character.begin(), character.end(), [&](char b) { return byte_id(b) >= 0; })) {
      for (uint32_t k = 0; k < bytes; ++k) symbols.push_back({begin + k, 1, byte_id(character[k])});
      in_unknown = false;
    } else if (unknown_ && in_unknown && fuse_unknown_) {
      symbols.back().length += bytes;
    } else if (unknown_) {
      symbols.push_back({begin, bytes, *unknown_});
      in_unknown = true;
    }
  }
}

}  // namespace

std::unique_ptr<TokenModel> make_bpe(const ModelSource& source) {
  return std::make_unique<Bpe>(source);
}

}  // namespace wattle::inline text
