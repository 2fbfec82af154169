#include "metrics/words.h"

#include <algorithm>
#include <utility>

#include "base/utf8.h"
#include "jinja/text.h"
#include "text/unicode_classes.h"

namespace wattle::inline metrics {
namespace {

bool is_letter(char32_t c) {
  const auto category = category_of(c);
  return category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
}

}  // namespace

std::u32string code_points(std::string_view text) {
  std::u32string characters;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter next = decode_utf8(text, i);
    characters += next.value;
    i += next.bytes;
  }
  return characters;
}

std::string to_utf8(std::u32string_view characters) {
  std::string text;
  for (const char32_t c : characters) append_utf8(text, c);
  return text;
}

std::u32string lowered(std::u32string_view text) {
  constexpr char32_t kCapitalSigma = 0x3A3, kFinalSigma = 0x3C2, kDottedI = 0x130, kDotAbove = 0x307;
  std::u32string lower;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == kDottedI) {
      lower += {U'i', kDotAbove};
    } else if (text[i] == kCapitalSigma && i > 0 && is_letter(text[i - 1]) &&
               (i + 1 == text.size() || !is_letter(text[i + 1]))) {
      lower += kFinalSigma;
    } else {
      lower += static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(text[i])));
    }
  }
  return lower;
}

std::string lowered(std::string_view text) {
  return to_utf8(lowered(code_points(text)));
}

bool is_word_character(char32_t c) {
  return c == '_' || is_letter(c) || is_numeric(c);
}

Words split_at_spaces(std::string_view text) {
  Words words;
  std::string word;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter next = decode_utf8(text, i);
    if (!jinja::is_space(next.value)) {
      word.append(text, i, next.bytes);
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
    i += next.bytes;
  }
  if (!word.empty()) words.push_back(std::move(word));
  return words;
}

std::u32string WordNumbers::operator()(const Words& words) {
  std::u32string numbers;
  for (const std::string& word : words) {
    numbers += numbers_.try_emplace(word, static_cast<char32_t>(numbers_.size())).first->second;
  }
  return numbers;
}

}  // namespace wattle::inline metrics
