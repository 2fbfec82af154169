#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/special_matcher.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace wattle {

/// What all kinds of tokenizer share: ill-formed bytes become U+FFFD, tokens marked in the vocabulary are
/// taken out of the text first (leftmost, then longest, as Hugging Face's added tokens and SentencePiece's
/// user-defined symbols), and what lies between them is left to the kind.
class VocabularyTokenizer : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const override;
  std::vector<TokenId> encode_parts(std::span<const TextPart> parts, bool add_special) const override;
  std::string decode(std::span<const TokenId> ids) const override;
  std::string token_text(TokenId id) const override { return vocabulary_.text(id); }
  int size() const override { return vocabulary_.size(); }

 protected:
  explicit VocabularyTokenizer(Vocabulary vocabulary);

  /// The ids of valid UTF-8, not empty, between marked tokens.
  virtual void encode_run(std::string_view text, std::vector<TokenId>& ids) const = 0;
  /// Rewrites a part (valid UTF-8) before marked tokens are looked for.
  virtual void prepare(std::string& part) const {}
  /// Makes a token one that is taken out of the text first; to be called by the kind's constructor.
  void mark(std::string_view text, TokenId id) { marked_.add(text, id); }
  /// The token that begins or ends an encoded text, where the model wants one.
  virtual std::optional<TokenId> first_token() const;
  virtual std::optional<TokenId> last_token() const;

  Vocabulary vocabulary_;

 private:
  void split(std::string_view text, std::span<const TextPart> parts, std::span<const size_t> ends,
             std::vector<TokenId>& ids) const;

  SpecialMatcher marked_;
};

std::unique_ptr<Tokenizer> make_wordpiece(const Metadata& metadata);
std::unique_ptr<Tokenizer> make_bpe(const Metadata& metadata);
std::unique_ptr<Tokenizer> make_sentencepiece(const Metadata& metadata);

}  // namespace wattle
