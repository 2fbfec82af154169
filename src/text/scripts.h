#pragma once

namespace wattle::inline text {

inline constexpr int kAnyScript = -1;

/// A number for the script of a character (Unicode's property Script), kAnyScript for a space and for what is
/// not assigned; Han, Hiragana and Katakana are one, as SentencePiece's trainer has them.
int script_of(char32_t c);

}  // namespace wattle::inline text
