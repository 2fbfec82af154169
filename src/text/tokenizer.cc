#include "text/tokenizer.h"

#include <algorithm>
#include <limits>

#include <wattle/error.h>

#include "base/utf8.h"
#include "text/unicode.h"
#include "text/vocabulary_tokenizer.h"

namespace wattle {

std::unique_ptr<Tokenizer> Tokenizer::create(const Metadata& metadata) {
  const std::string kind = metadata.need_text("tokenizer.ggml.model");
  if (kind == "bert") return make_wordpiece(metadata);
  if (kind == "gpt2") return make_bpe(metadata);
  if (kind == "llama") return make_sentencepiece(metadata);
  fail(
      "{}: tokenizer \"{}\" is not known; choose a model with one of bert (WordPiece), gpt2 (byte-level "
      "BPE), llama "
      "(SentencePiece)",
      metadata.origin(), kind);
}

bool Tokenizer::ends_generation(TokenId id) const {
  return std::find(end_tokens_.begin(), end_tokens_.end(), id) != end_tokens_.end();
}

VocabularyTokenizer::VocabularyTokenizer(Vocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
  special_ = vocabulary_.special();
  end_tokens_ = vocabulary_.end_tokens();
}

std::optional<TokenId> VocabularyTokenizer::first_token() const {
  return special_.add_bos ? special_.bos : std::nullopt;
}

std::optional<TokenId> VocabularyTokenizer::last_token() const {
  return special_.add_eos ? special_.eos : std::nullopt;
}

std::vector<TokenId> VocabularyTokenizer::encode(std::string_view text, EncodeOptions options) const {
  const TextPart part{text, options.parse_special};
  return encode_parts({&part, 1}, options.add_special);
}

std::vector<TokenId> VocabularyTokenizer::encode_parts(std::span<const TextPart> parts,
                                                       bool add_special) const {
  std::string text;
  std::vector<size_t> ends;
  for (const TextPart& part : parts) {
    std::string prepared = is_ascii(part.text) ? std::string(part.text) : repaired_utf8(part.text);
    prepare(prepared);
    text += prepared;
    ends.push_back(text.size());
  }
  if (text.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    fail("a text of {} bytes is longer than the {} that can be tokenised at once; split it", text.size(),
         std::numeric_limits<int32_t>::max());
  }
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 4 + 2);
  if (add_special && first_token()) ids.push_back(*first_token());
  split(text, parts, ends, ids);
  if (add_special && last_token()) ids.push_back(*last_token());
  return ids;
}

void VocabularyTokenizer::split(std::string_view text, std::span<const TextPart> parts,
                                std::span<const size_t> ends, std::vector<TokenId>& ids) const {
  size_t part = 0, run = 0;
  for (size_t position = 0; position < text.size();) {
    while (position >= ends[part]) ++part;
    const auto match = marked_.longest_at(text, position, [&](TokenId id, size_t length) {
      return !vocabulary_.is_control(id) || (parts[part].parse_special && position + length <= ends[part]);
    });
    if (!match) {
      ++position;
      continue;
    }
    if (position > run) encode_run(text.substr(run, position - run), ids);
    ids.push_back(match->id);
    position += match->length;
    run = position;
  }
  if (run < text.size()) encode_run(text.substr(run), ids);
}

std::string VocabularyTokenizer::decode(std::span<const TokenId> ids) const {
  std::string text;
  for (const TokenId id : ids) text += piece(id);
  return text;
}

}  // namespace wattle
