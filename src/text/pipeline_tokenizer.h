#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/decoder.h"
#include "text/normalizer.h"
#include "text/post_processor.h"
#include "text/pretokenizer.h"
#include "text/token_model.h"

namespace wattle::inline text {

/// A tokenizer as a line of steps (the format of tokenizer.json): added tokens are taken out of the text,
/// what lies between is normalised, cut into words and these into tokens, and special tokens are put round
/// it.
class PipelineTokenizer final : public Tokenizer {
 public:
  /// `pipeline` describes the steps as tokenizer.json does; the tokens, merges and scores are those of the
  /// metadata.
  PipelineTokenizer(Vocabulary vocabulary, const JsonView& pipeline, const Metadata& metadata,
                    std::vector<std::string> notes);

  std::vector<TokenId> encode(std::string_view text, EncodeOptions options = {}) const override;
  std::vector<TokenId> encode_parts(std::span<const TextPart> parts, bool add_special) const override;
  Encoding encode_body(std::string_view text, bool parse_special = false) const override;
  Encoding assemble(Encoding first, std::optional<Encoding> second, bool add_special = true) const override;
  std::string piece(TokenId id) const override;
  std::string token_text(TokenId id) const override;
  std::string decode(std::span<const TokenId> ids) const override { return decoded(ids, false); }
  std::string decode_with_special(std::span<const TokenId> ids) const override { return decoded(ids, true); }
  int size() const override { return vocabulary_.size(); }
  std::string_view kind() const override { return model_->kind(); }

 private:
  struct Run;  // one text on its way

  void read_added_tokens(const JsonView& pipeline);
  std::string normalised(const std::string& text) const;
  void find_edges();
  void encode_all(Run& run) const;
  void encode_between(Run& run, size_t begin, size_t end) const;
  void encode_pieces(Run& run, AlignedText text) const;
  bool is_token(TokenId id) const;
  std::string decoded(std::span<const TokenId> ids, bool with_special) const;

  Vocabulary vocabulary_;
  std::unique_ptr<Normalizer> normalizer_;
  std::unique_ptr<Pretokenizer> pretokenizer_;
  std::unique_ptr<TokenModel> model_;
  PostProcessor post_processor_;
  Decoder decoder_;
  AddedTokens raw_, normalized_;
  std::vector<bool> special_tokens_;  ///< by id: is nothing to a reader
  bool unused_are_tokens_;  ///< SentencePiece's unused pieces are tokens, others' rows without one are not
};

}  // namespace wattle::inline text
