#pragma once

#include <string_view>
#include <unordered_set>

#include "text/unicode.h"
#include "text/vocabulary.h"

namespace wattle::inline text {

/// Where a text with U+2581 for spaces may be cut so that no token reaches over a cut: merging each part
/// alone gives what merging the whole text would, in less time.
class WordCuts {
 public:
  WordCuts() = default;
  explicit WordCuts(const Vocabulary& vocabulary) {
    for (TokenId id = 0; id < vocabulary.size(); ++id) {
      if (vocabulary.is_control(id)) continue;
      char32_t previous = kSpace;
      const std::string_view text = vocabulary.text(id);
      for (size_t i = 0; i < text.size();) {
        const DecodedCharacter c = decode_utf8(text, i);
        has_any_ = has_any_ || (c.value == kSpace && text.size() == c.bytes);
        if (c.value == kSpace && previous != kSpace) before_inner_space_.insert(previous);
        previous = c.value;
        i += c.bytes;
      }
    }
  }

  /// Whether the space is a token itself, without which there are no cuts.
  bool has_any() const { return has_any_; }

  /// Calls `word(begin, end)` for the parts, in order.
  template <typename Word>
  void for_each(std::string_view text, const Word& word) const {
    char32_t previous = kSpace;
    size_t begin = 0;
    for (size_t i = 0; i < text.size();) {
      const DecodedCharacter c = decode_utf8(text, i);
      if (c.value == kSpace && previous != kSpace && !before_inner_space_.contains(previous)) {
        word(begin, i);
        begin = i;
      }
      previous = c.value;
      i += c.bytes;
    }
    if (begin < text.size()) word(begin, text.size());
  }

 private:
  static constexpr char32_t kSpace = 0x2581;
  bool has_any_ = false;
  std::unordered_set<char32_t> before_inner_space_;  ///< after these some token has a space
};

}  // namespace wattle::inline text
