#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace wattle::inline base {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

struct DecodedCharacter {
  char32_t value = 0;
  uint32_t bytes = 0;  ///< how many the character took; at least 1
};

/// The character at `position` (< text.size()). A byte that begins no well-formed one is read as U+FFFD.
DecodedCharacter decode_utf8(std::string_view text, size_t position);

/// Nothing for a surrogate or a number beyond U+10FFFF.
void append_utf8(std::string& out, char32_t character);

bool is_ascii(std::string_view text);
/// A to Z as small letters; all else stays.
std::string lower_ascii(std::string_view text);

/// Whether the bytes are well-formed UTF-8 (Unicode 15, table 3-7: no surrogates, no overlong forms).
bool is_utf8(std::string_view bytes);

/// The text with U+FFFD for each ill-formed part: one for every maximal subpart (Unicode 15, section 3.9), as
/// the decoders of web browsers and of Python do.
std::string repaired_utf8(std::string_view bytes);

/// What stands at the front of `bytes`, which is not empty: a whole character, or the maximal subpart of an
/// ill-formed one.
struct Utf8Part {
  size_t length;
  bool well_formed;
};
Utf8Part first_utf8_part(std::string_view bytes);

/// The longest beginning of `bytes` that does not end inside a character; what follows is at most three
/// bytes. For text that arrives in pieces.
std::string_view whole_characters(std::string_view bytes);

}  // namespace wattle::inline base
