#pragma once

#include <string>
#include <string_view>

#include "base/utf8.h"

namespace wattle {

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
