#pragma once

#include <utf8proc.h>

#include <string_view>

namespace wattle::inline text {

/// The classes of characters by which tokenizers clean and split texts.

inline bool is_white_space(char32_t c) {  // the property White_Space
  if (c < 0x80) return c == ' ' || (c >= '\t' && c <= '\r');
  return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
         c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

inline utf8proc_category_t category_of(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

inline bool is_control_or_format(char32_t c) {  // Cc, Cf, Cs, Co
  if (c < 0x80) return c < 0x20 || c == 0x7F;
  const auto category = category_of(c);
  return category >= UTF8PROC_CATEGORY_CC && category <= UTF8PROC_CATEGORY_CO;
}

inline bool is_ascii_punctuation(char32_t c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

/// BERT's punctuation: ASCII's signs, and Unicode's P*.
inline bool is_punctuation(char32_t c) {
  if (c < 0x80) return is_ascii_punctuation(c);
  const auto category = category_of(c);
  return category >= UTF8PROC_CATEGORY_PC && category <= UTF8PROC_CATEGORY_PO;
}

inline bool is_numeric(char32_t c) {  // Nd, Nl, No
  if (c < 0x80) return c >= '0' && c <= '9';
  const auto category = category_of(c);
  return category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
}

inline bool is_nonspacing_mark(char32_t c) {
  return c >= 0x80 && category_of(c) == UTF8PROC_CATEGORY_MN;
}

inline bool is_mark(char32_t c) {
  if (c < 0x80) return false;
  const auto category = category_of(c);
  return category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
}

/// What a word is made of (UTS 18, annex C), as the inside of a class of a pattern.
inline constexpr std::string_view kWordCharacters = R"(\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{200c}\x{200d})";

/// The blocks that BERT's tokenizer surrounds with spaces (CJK Unified Ideographs and their extensions;
/// neither Hangul nor Kana).
inline bool is_ideograph(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

}  // namespace wattle::inline text
