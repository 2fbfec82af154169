#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/metadata.h"

namespace wattle {

using TokenId = int32_t;

struct EncodeOptions {
  bool add_special = true;  ///< the model's own BOS/EOS or [CLS]/[SEP]
  bool parse_special =
      false;  ///< text such as "<|im_end|>" becomes the special token; never for a user's text
};

/// A piece of a text that is put together from a template and what a user wrote.
struct TextPart {
  std::string_view text;
  bool parse_special = false;
};

/// The lists of the metadata that a tokenizer copies. Once it is made nothing reads them, and they may go.
inline constexpr std::string_view kTokenizerLists[] = {"tokenizer.ggml.tokens", "tokenizer.ggml.merges",
                                                       "tokenizer.ggml.scores", "tokenizer.ggml.token_type"};

/// A model's tokenizer, built from the model's own metadata (tokenizer.ggml.*): WordPiece, byte-level BPE or
/// SentencePiece. Thread-safe after construction.
class Tokenizer {
 public:
  /// Throws Error when keys are missing, inconsistent (ids beyond the vocabulary) or of a kind not known
  /// here.
  static std::unique_ptr<Tokenizer> create(const Metadata& metadata);
  virtual ~Tokenizer() = default;

  /// Ids of a UTF-8 text; invalid bytes are read as U+FFFD.
  virtual std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const = 0;
  /// Ids of the parts' joined text; special tokens are found only within parts that allow them, so that words
  /// may join across parts as in the whole text but nobody can write a special token into a part that forbids
  /// it.
  virtual std::vector<TokenId> encode_parts(std::span<const TextPart> parts, bool add_special) const = 0;
  /// Bytes that a token adds to a decoded text (not always valid UTF-8 by itself); empty for special tokens.
  virtual std::string piece(TokenId id) const = 0;
  /// A token as the vocabulary writes it, special ones too, as templates name them.
  virtual std::string token_text(TokenId id) const = 0;
  /// Text of a sequence: pieces joined, leading space of SentencePiece removed.
  virtual std::string decode(std::span<const TokenId> ids) const = 0;

  virtual int size() const = 0;
  /// Special tokens that the vocabulary has.
  struct Special {
    std::optional<TokenId> bos, eos, eot, unk, sep, cls, pad, mask;
    bool add_bos = false, add_eos = false;
  };
  const Special& special() const { return special_; }
  /// Tokens that end a generation: eos, eot and the chat template's end of turn.
  bool ends_generation(TokenId id) const;
  /// "wordpiece", "bpe", "sentencepiece".
  virtual std::string_view kind() const = 0;

 protected:
  Special special_;
  std::vector<TokenId> end_tokens_;
};

}  // namespace wattle
