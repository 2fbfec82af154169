#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/unicode.h"

namespace wattle::inline metrics {

// Texts as metrics of texts see them. The field's libraries are written in Python; where they lower, strip or
// split a text, Python's rules are meant.

using Words = std::vector<std::string>;

std::u32string code_points(std::string_view text);
std::string to_utf8(std::u32string_view characters);

/// Unicode's lower case; a capital sigma at a word's end becomes a final one.
std::u32string lowered(std::u32string_view text);
std::string lowered(std::string_view text);

/// A letter, a number or an underscore: `\w`.
bool is_word_character(char32_t c);

Words split_at_spaces(std::string_view text);

/// Words as numbers, equal words equal, so that n-grams are pieces of a string of numbers.
class WordNumbers {
 public:
  std::u32string operator()(const Words& words);

 private:
  std::unordered_map<std::string, char32_t> numbers_;
};

}  // namespace wattle::inline metrics
