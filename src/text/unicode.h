#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/utf8.h"

namespace wattle::inline text {

/// Unicode's normalisation forms.
enum class NormalForm { kC, kD, kKC, kKD };
/// Well-formed UTF-8 in a form.
std::string normal_form(std::string_view text, NormalForm form);

/// A character of a normal form, and what it is made of: 0: one character of the text; -n: one and the n
/// after it; 1: none (it belongs to the character before it).
struct ChangedCharacter {
  char32_t value;
  int change;
};
std::vector<ChangedCharacter> normal_form_changes(std::string_view text, NormalForm form);

/// Bytes of the extended grapheme cluster (UAX 29) that begins at `begin`.
size_t grapheme_bytes(std::string_view text, size_t begin);

int character_count(std::string_view text);

/// Without white space, as Python has it, at both ends.
std::string_view trimmed(std::string_view text);

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

}  // namespace wattle::inline text
