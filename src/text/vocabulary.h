#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "file/metadata.h"
#include "text/tokenizer.h"

namespace wattle::inline text {

/// tokenizer.ggml.token_type, with the specification's numbers.
enum class TokenType : uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// Text -> token id. Keys are views: the strings must outlive the table. Open addressing, at most three
/// quarters full, in slots of 16 bytes: with a vocabulary of 260,000 tokens the table is a part of the memory
/// that a model needs.
class TokenTable {
 public:
  explicit TokenTable(size_t expected = 0);

  /// False when the text is there already; the table keeps the first.
  bool insert(std::string_view text, TokenId id);
  std::optional<TokenId> find(std::string_view text) const {
    if (text.size() > longest_) return std::nullopt;
    for (size_t slot = std::hash<std::string_view>{}(text)&mask_;; slot = (slot + 1) & mask_) {
      if (slots_[slot].id < 0) return std::nullopt;
      if (slots_[slot].text() == text) return slots_[slot].id;
    }
  }
  size_t longest() const { return longest_; }  ///< bytes of the longest text

 private:
  struct Slot {
    const char* data = nullptr;
    uint32_t size = 0;
    TokenId id = -1;
    std::string_view text() const { return {data, size}; }
  };
  std::vector<Slot> slots_;
  size_t mask_ = 0;
  size_t used_ = 0;
  size_t longest_ = 0;
};

/// The tokens of a model with their types, and its special tokens, as tokenizer.ggml.* gives them.
class Vocabulary {
 public:
  /// Throws Error when the vocabulary is empty, a list has another length than it, or a special id lies
  /// beyond it and is used. One that is not used is no token.
  explicit Vocabulary(const Metadata& metadata);

  int size() const { return static_cast<int>(texts_.size()); }
  const std::string& text(TokenId id) const { return texts_[static_cast<size_t>(id)]; }
  /// For a tokenizer that keeps another form of its tokens than the file does (bytes instead of their
  /// stand-ins).
  void set_text(TokenId id, std::string text) { texts_[static_cast<size_t>(id)] = std::move(text); }
  TokenType type(TokenId id) const { return types_[static_cast<size_t>(id)]; }
  bool contains(TokenId id) const { return id >= 0 && id < size(); }
  /// Never to be made from a user's text, and nothing to a reader.
  bool is_control(TokenId id) const {
    return type(id) == TokenType::kControl || type(id) == TokenType::kUnknown;
  }

  /// Whether the token is one, not a row of the embedding without a token.
  bool is_real(TokenId id) const { return type(id) != TokenType::kUnused; }
  /// Whether a model may cut a text into it.
  bool is_plain(TokenId id) const {
    return is_real(id) && !is_control(id) && (hidden_.empty() || !hidden_[static_cast<size_t>(id)]);
  }
  /// Keeps a token from the model: it is only ever found in a text before the model sees it.
  void hide(TokenId id) {
    hidden_.resize(texts_.size());
    hidden_[static_cast<size_t>(id)] = true;
  }
  /// The lowest token with a text; looks at one after the other.
  std::optional<TokenId> find(std::string_view text) const;

  /// Control tokens, where a text may hold them, and user-defined ones, everywhere, are found in a text
  /// before it is split.
  bool is_marked(TokenId id) const { return is_control(id) || type(id) == TokenType::kUserDefined; }

  /// A table of the tokens that `wanted` accepts; of several with one text the lowest.
  TokenTable table(const std::function<bool(TokenId)>& wanted) const;

  const Tokenizer::Special& special() const { return special_; }
  const std::vector<TokenId>& end_tokens() const { return end_tokens_; }
  Tokenizer::Special& special() { return special_; }
  const std::string& origin() const { return origin_; }

 private:
  void read_types(const Metadata& metadata);
  void read_special(const Metadata& metadata);
  void find_end_tokens();

  std::string origin_;
  std::vector<std::string> texts_;
  std::vector<TokenType> types_;
  std::vector<bool> hidden_;  ///< by id; empty: none is
  Tokenizer::Special special_;
  std::vector<TokenId> end_tokens_;
};

}  // namespace wattle::inline text
