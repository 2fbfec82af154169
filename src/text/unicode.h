#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace wattle {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

struct DecodedCharacter {
  char32_t value = 0;
  uint32_t bytes = 0;  ///< how many the character took; at least 1
};

/// The character at `position` (< text.size()). A byte that begins no well-formed one is read as U+FFFD.
DecodedCharacter decode_utf8(std::string_view text, size_t position);

void append_utf8(std::string& out, char32_t character);

bool is_ascii(std::string_view text);

/// Canonical composition (Unicode normalisation form C) of well-formed UTF-8.
std::string to_nfc(std::string_view text);
/// Canonical decomposition (form D).
std::string to_nfd(std::string_view text);

/// Turns the pieces of a generation into whole characters: a token may end in the middle of one.
class Utf8Stream {
 public:
  /// The whole characters there are now, ill-formed ones as U+FFFD; the beginning of an unfinished one waits
  /// for the next call.
  std::string push(std::string_view bytes);
  /// What is left at the end: U+FFFD for an unfinished character.
  std::string finish();

 private:
  std::string pending_;
};

}  // namespace wattle
