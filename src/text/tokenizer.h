#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "file/metadata.h"

namespace wattle::inline text {

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

/// Bytes [begin, end) of a text.
struct ByteRange {
  uint32_t begin = 0, end = 0;
  bool operator==(const ByteRange&) const = default;
};

/// The tokens of a text or of a pair of texts; all vectors have one entry a token.
struct Encoding {
  std::vector<TokenId> ids;
  std::vector<int32_t> type_ids;  ///< the segment that a model with segment embeddings reads a token as
  std::vector<ByteRange>
      offsets;  ///< bytes of the text of its sequence, as it was given; {0, 0} where `sequence` is -1
  std::vector<int8_t> sequence;  ///< 0: of the first text, 1: of the second, -1: put there by the tokenizer
  std::vector<int32_t> words;  ///< which piece of its text a token is of (the pre-tokeniser's, an added token
                               ///< is one), from 0; -1 where `sequence` is

  size_t size() const { return ids.size(); }
  void append(TokenId id, int32_t type_id, ByteRange offset, int8_t of_sequence, int32_t word);
  /// Tokens [begin, end).
  Encoding slice(size_t begin, size_t end) const;
};

/// The lists of the metadata that a tokenizer copies. Once it is made nothing reads them, and they may go.
inline constexpr std::string_view kTokenizerLists[] = {
    "tokenizer.ggml.tokens",     "tokenizer.ggml.merges",     "tokenizer.ggml.scores",
    "tokenizer.ggml.token_type", "tokenizer.wattle.pipeline", "tokenizer.ggml.precompiled_charsmap",
    "tokenizer.huggingface.json"};

/// A model's tokenizer, built from the model's own metadata: the vocabulary of tokenizer.ggml.*, and the
/// steps of its tokenizer.json where the metadata keeps them, else those that the tokenizer.ggml.* keys name.
/// Thread-safe after construction.
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
  /// The tokens of a text, or of two that belong together (question and context), with the offsets and
  /// segments that heads over tokens need: assemble() of encode_body() of each. Offsets are those of Hugging
  /// Face's tokenizers, in bytes.
  Encoding encode_pair(std::string_view first, std::optional<std::string_view> second,
                       EncodeOptions options = {}) const;
  /// The tokens of one text without what the model puts round it, not yet post-processed: what a caller cuts
  /// into windows.
  virtual Encoding encode_body(std::string_view text, bool parse_special = false) const;
  /// Puts the model's special tokens round one or two bodies (unless `add_special` is false), with their
  /// segments, and trims offsets where the tokenizer does.
  virtual Encoding assemble(Encoding first, std::optional<Encoding> second, bool add_special = true) const;
  /// How many special tokens assemble() adds to one body or to two.
  int added_tokens(bool pair) const;

  /// Bytes that a token adds to a decoded text (not always valid UTF-8 by itself); empty for special tokens.
  virtual std::string piece(TokenId id) const = 0;
  /// A token as the vocabulary writes it, special ones too, as templates name them.
  virtual std::string token_text(TokenId id) const = 0;
  /// Text of a sequence as the tokenizer's decoder joins it, without special tokens.
  virtual std::string decode(std::span<const TokenId> ids) const = 0;
  /// The same with special tokens written out.
  virtual std::string decode_with_special(std::span<const TokenId> ids) const;

  virtual int size() const = 0;
  /// Special tokens that the vocabulary has.
  struct Special {
    std::optional<TokenId> bos, eos, eot, unk, sep, cls, pad, mask;
    bool add_bos = false, add_eos = false;
  };
  const Special& special() const { return special_; }
  /// Tokens that end a generation: eos, eot and the chat template's end of turn.
  bool ends_generation(TokenId id) const;
  /// "wordpiece", "bpe", "sentencepiece" (its BPE), "unigram", "wordlevel".
  virtual std::string_view kind() const = 0;
  /// What was lacking in the metadata and how it was read instead, one sentence each.
  const std::vector<std::string>& notes() const { return notes_; }

 protected:
  Special special_;
  std::vector<TokenId> end_tokens_;
  std::vector<std::string> notes_;
};

}  // namespace wattle::inline text
