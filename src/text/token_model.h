#pragma once

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "file/metadata.h"
#include "text/vocabulary.h"

namespace wattle::inline text {

/// A token and the bytes of its piece that it stands for.
struct TokenPlace {
  TokenId id;
  uint32_t begin, end;
};

/// The step of a tokenizer that cuts a piece of text (well-formed UTF-8, or bytes where it knows its tokens
/// by their bytes) into tokens. Thread-safe.
class TokenModel {
 public:
  virtual ~TokenModel() = default;
  /// Appends the tokens of a piece that is not empty.
  virtual void encode(std::string_view piece, std::vector<TokenPlace>& tokens) const = 0;
  /// "wordpiece", "bpe", "sentencepiece" (its BPE), "unigram", "wordlevel".
  virtual std::string_view kind() const = 0;
};

/// What a model is made of: the tokens, `json` (the "model" of tokenizer.json without its lists) and the
/// lists of the metadata. The vocabulary must outlive the model.
struct ModelSource {
  const Vocabulary& vocabulary;
  const JsonView& json;
  const Metadata& metadata;
  bool raw_bytes;  ///< pieces come as bytes; tokens are kept as their stand-ins
};

/// The model of tokenizer.json: WordPiece, BPE, Unigram, WordLevel; and, by names of this project, those of
/// other files: SentencePieceBPE, SentencePieceUnigram, MarkedBPE (fastBPE's, with "@@"). Error naming an
/// unknown one or an option that is not honoured.
std::unique_ptr<TokenModel> make_token_model(const ModelSource& source);

std::unique_ptr<TokenModel> make_wordpiece(const ModelSource& source);
std::unique_ptr<TokenModel> make_word_level(const ModelSource& source);
std::unique_ptr<TokenModel> make_bpe(const ModelSource& source);
std::unique_ptr<TokenModel> make_marked_bpe(const ModelSource& source);
std::unique_ptr<TokenModel> make_unigram(const ModelSource& source);
std::unique_ptr<TokenModel> make_sentencepiece_bpe(const ModelSource& source);

/// The tokens that stand for single bytes ("<0x0A>"), by the byte; -1 for none.
struct ByteTokens {
  ByteTokens() { ids.fill(-1); }
  explicit ByteTokens(const Vocabulary& vocabulary);
  bool complete() const;
  std::array<TokenId, 256> ids;
};
/// The byte that "<0x0A>" names; -1 for another text.
int named_byte(std::string_view token);

/// The token for what no other covers. Error naming `what` when the vocabulary lacks it.
TokenId need_unknown(const ModelSource& source, std::string_view text, std::string_view what);
/// tokenizer.ggml.scores, one a token. Error for another number of them, or for one that is no number.
std::vector<double> read_scores(const ModelSource& source);

}  // namespace wattle::inline text
