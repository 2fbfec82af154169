#include "text/added_tokens.h"

#include <algorithm>

#include "text/regex.h"
#include "text/unicode.h"
#include "text/unicode_classes.h"

namespace wattle::inline text {
namespace {

DecodedCharacter character_before(std::string_view text, size_t end) {
  size_t begin = end - 1;
  while (begin > 0 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) --begin;
  return decode_utf8(text, begin);
}

bool is_word(std::string_view character) {
  static const Regex word("[" + std::string(kWordCharacters) + "]", "the built-in pattern");
  return word.matches_whole(character);
}

}  // namespace

void AddedTokens::add(AddedToken token) {
  any_special_ = any_special_ || token.special;
  matcher_.add(token.text, static_cast<int>(tokens_.size()));
  tokens_.push_back(std::move(token));
}

bool AddedTokens::stands_alone(std::string_view text, size_t begin, size_t end) {
  if (begin > 0) {
    const uint32_t bytes = character_before(text, begin).bytes;
    if (is_word(text.substr(begin - bytes, bytes))) return false;
  }
  return end == text.size() || !is_word(text.substr(end, decode_utf8(text, end).bytes));
}

AddedTokens::Found AddedTokens::widened(const AddedToken& token, std::string_view text, size_t begin,
                                        size_t end, uint32_t taken) {
  Found found{static_cast<uint32_t>(begin), static_cast<uint32_t>(end), static_cast<uint32_t>(begin),
              static_cast<uint32_t>(end), token.id};
  while (token.lstrip && found.begin > taken) {
    const DecodedCharacter c = character_before(text, found.begin);
    if (!is_white_space(c.value)) break;
    found.begin -= c.bytes;
  }
  found.begin = std::max(found.begin, taken);
  while (token.rstrip && found.end < text.size()) {
    const DecodedCharacter c = decode_utf8(text, found.end);
    if (!is_white_space(c.value)) break;
    found.end += c.bytes;
  }
  return found;
}

}  // namespace wattle::inline text
