#include <algorithm>
#include <array>
#include <bit>
#include <optional>

#include <wattle/error.h>

#include "base/utf8.h"
#include "text/merge.h"
#include "text/pretokenizer.h"
#include "text/unicode.h"
#include "text/vocabulary_tokenizer.h"
#include "text/word_states.h"

namespace wattle {
namespace {

/// GPT-2's stand-ins: each byte as one printable character, itself where it is printable in Latin-1.
struct ByteAlphabet {
  std::array<char32_t, 256> character{};
  std::array<int16_t, 512> byte{};

  ByteAlphabet() {
    byte.fill(-1);
    char32_t next = 256;
    for (int b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      character[b] = printable ? static_cast<char32_t>(b) : next++;
      byte[character[b]] = static_cast<int16_t>(b);
    }
  }
};

/// The bytes that a token's text stands for; the text itself when it uses other characters.
std::string to_bytes(std::string_view text) {
  static const ByteAlphabet alphabet;
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text, i);
    if (c.value >= alphabet.byte.size() || alphabet.byte[c.value] < 0) return std::string(text);
    bytes += static_cast<char>(alphabet.byte[c.value]);
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

const PretokenizerSpec& spec_of(const Metadata& metadata) {
  const std::string name = metadata.text("tokenizer.ggml.pre").value_or("default");
  const PretokenizerSpec* const spec = find_pretokenizer(name);
  if (spec == nullptr) {
    fail("{}: pre-tokenisation \"{}\" (tokenizer.ggml.pre) is not known; choose a model with one of {}",
         metadata.origin(), name, pretokenizer_names());
  }
  return *spec;
}

/// Byte-level BPE (Radford et al. 2019). Hugging Face's tokenizers is the reference: its Unicode
/// normalisation where a model has one, and bytes without a token are dropped.
class Bpe final : public VocabularyTokenizer {
 public:
  explicit Bpe(const Metadata& metadata);

  std::string piece(TokenId id) const override;
  std::string_view kind() const override { return "bpe"; }

 protected:
  void encode_run(std::string_view text, std::vector<TokenId>& ids) const override;

 private:
  void read_merges(const Metadata& metadata);
  void encode_word(std::string_view word, std::vector<Symbol>& symbols, std::vector<TokenId>& ids) const;
  void merge_word(std::string_view word, std::vector<Symbol>& symbols) const;

  PretokenizerSpec spec_;
  std::optional<Pretokenizer> pretokenizer_;
  TokenTable words_;
  MergeTable merges_;
  std::array<TokenId, 256> byte_ids_{};
  WordStates states_;
};

Bpe::Bpe(const Metadata& metadata)
    : VocabularyTokenizer(Vocabulary(metadata)),
      spec_(spec_of(metadata)),
      merges_(metadata.strings("tokenizer.ggml.merges").size()),
      states_(vocabulary_.size()) {
  special_.add_bos = metadata.flag("tokenizer.ggml.add_bos_token").value_or(spec_.add_bos);
  // Marked tokens are stored as they stand in a text, all others by the byte alphabet.
  for (TokenId id = 0; id < size(); ++id) {
    if (vocabulary_.type(id) == TokenType::kNormal) vocabulary_.set_text(id, to_bytes(vocabulary_.text(id)));
    if (vocabulary_.is_marked(id)) mark(vocabulary_.text(id), id);
  }
  words_ = vocabulary_.table([&](TokenId id) {
    return vocabulary_.type(id) == TokenType::kNormal || vocabulary_.type(id) == TokenType::kUserDefined;
  });
  for (int byte = 0; byte < 256; ++byte) {
    const char text = static_cast<char>(byte);
    byte_ids_[static_cast<size_t>(byte)] = words_.find({&text, 1}).value_or(-1);
  }
  read_merges(metadata);
  pretokenizer_.emplace(spec_.pattern, metadata.origin());  // after all that may be refused
}

void Bpe::read_merges(const Metadata& metadata) {
  const auto merges = metadata.strings("tokenizer.ggml.merges");
  if (merges.empty()) {
    fail("{}: no merges (tokenizer.ggml.merges), which byte-level BPE needs; convert or pull the model again",
         metadata.origin());
  }
  for (size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string_view merge = merges[rank];
    const size_t space = merge.find(' ', 1);
    if (space == std::string_view::npos || space + 1 == merge.size()) {
      fail("{}: merge {} is not two texts with a space between; convert or pull the model again",
           metadata.origin(), rank);
    }
    const std::string left = to_bytes(merge.substr(0, space)), right = to_bytes(merge.substr(space + 1));
    const auto left_id = words_.find(left), right_id = words_.find(right),
               joined_id = words_.find(left + right);
    if (!left_id || !right_id || !joined_id) {
      fail(
          "{}: merge {} ({}) uses or makes a token that the vocabulary lacks; convert or pull the model "
          "again",
          metadata.origin(), rank, repaired_utf8(merge));
    }
    merges_.insert(*left_id, *right_id, {static_cast<uint32_t>(rank), *joined_id});
  }
}

void Bpe::encode_run(std::string_view text, std::vector<TokenId>& ids) const {
  std::string composed;
  if (spec_.nfc && !is_ascii(text)) {
    composed = to_nfc(text);
    text = composed;
  }
  std::vector<Symbol> symbols;
  size_t begin = 0;
  for (const size_t end : pretokenizer_->word_ends(text)) {
    encode_word(text.substr(begin, end - begin), symbols, ids);
    begin = end;
  }
}

void Bpe::encode_word(std::string_view word, std::vector<Symbol>& symbols, std::vector<TokenId>& ids) const {
  const auto whole = words_.find(word);
  if (whole && (spec_.ignore_merges || states_.get(*whole) == WordStates::kWhole)) {
    ids.push_back(*whole);
    return;
  }
  merge_word(word, symbols);
  const size_t before = ids.size();
  for (const Symbol& symbol : symbols) {
    if (symbol.length > 0) ids.push_back(symbol.id);
  }
  if (whole) {
    states_.set(*whole,
                ids.size() == before + 1 && ids.back() == *whole ? WordStates::kWhole : WordStates::kCut);
  }
}

void Bpe::merge_word(std::string_view word, std::vector<Symbol>& symbols) const {
  symbols.clear();
  for (size_t i = 0; i < word.size(); ++i) {
    const TokenId id = byte_ids_[static_cast<uint8_t>(word[i])];
    if (id >= 0) symbols.push_back({static_cast<uint32_t>(i), 1, id});
  }
  merge_symbols<uint32_t>(
      symbols, [&](const Symbol& left, const Symbol& right) { return merges_.find(left.id, right.id); });
}

std::string Bpe::piece(TokenId id) const {
  if (!vocabulary_.contains(id) || vocabulary_.is_control(id) || vocabulary_.type(id) == TokenType::kUnused)
    return {};
  return vocabulary_.text(id);
}

}  // namespace

std::unique_ptr<Tokenizer> make_bpe(const Metadata& metadata) {
  return std::make_unique<Bpe>(metadata);
}

}  // namespace wattle
