#include <wattle/error.h>

#include "text/tokenizer.h"

namespace wattle::inline text {

void Encoding::append(TokenId id, int32_t type_id, ByteRange offset, int8_t of_sequence, int32_t word) {
  ids.push_back(id);
  type_ids.push_back(type_id);
  offsets.push_back(offset);
  sequence.push_back(of_sequence);
  words.push_back(word);
}

Encoding Encoding::slice(size_t begin, size_t end) const {
  Encoding part;
  for (size_t i = begin; i < end; ++i) part.append(ids[i], type_ids[i], offsets[i], sequence[i], words[i]);
  return part;
}

Encoding Tokenizer::encode_pair(std::string_view first, std::optional<std::string_view> second,
                                EncodeOptions options) const {
  Encoding body = encode_body(first, options.parse_special);
  std::optional<Encoding> other;
  if (second) other = encode_body(*second, options.parse_special);
  return assemble(std::move(body), std::move(other), options.add_special);
}

Encoding Tokenizer::encode_body(std::string_view, bool) const {
  fail("the tokenizer ({}) knows no offsets; use a model with a tokenizer of its own", kind());
}

Encoding Tokenizer::assemble(Encoding, std::optional<Encoding>, bool) const {
  fail("the tokenizer ({}) joins no texts; use a model with a tokenizer of its own", kind());
}

int Tokenizer::added_tokens(bool pair) const {
  return static_cast<int>(assemble({}, pair ? std::optional(Encoding()) : std::nullopt).size());
}

std::string Tokenizer::decode_with_special(std::span<const TokenId> ids) const {
  std::string text;
  for (const TokenId id : ids) text += token_text(id);
  return text;
}

}  // namespace wattle::inline text
