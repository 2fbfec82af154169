#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/special_matcher.h"

namespace wattle::inline text {

/// A token that is found in a text before anything else is done to it, or, if `normalized`, after the
/// normalizer.
struct AddedToken {
  TokenId id = -1;
  std::string text;                     ///< as it is looked for
  bool special = false;                 ///< only where a text may hold it
  bool lstrip = false, rstrip = false;  ///< takes the white space before or behind it in
  bool single_word = false;             ///< only where no letter or digit touches it
};

/// The added tokens of one stage: leftmost, of those the longest.
class AddedTokens {
 public:
  void add(AddedToken token);
  bool empty() const { return tokens_.empty(); }
  bool any_special() const { return any_special_; }

  struct Found {
    uint32_t begin, end;            ///< with the white space it takes in
    uint32_t text_begin, text_end;  ///< without
    TokenId id;
  };
  /// Those in a text, in order. `allowed(begin, end)` says whether a special token may be taken there.
  template <typename Allowed>
  std::vector<Found> find(std::string_view text, const Allowed& allowed) const {
    std::vector<Found> found;
    uint32_t taken = 0;
    for (size_t position = 0; !tokens_.empty() && position < text.size();) {
      // A special token that reaches out of the part that allows it is no token; a shorter one within may be.
      const auto match = matcher_.longest_at(text, position, [&](int index, size_t length) {
        return !tokens_[static_cast<size_t>(index)].special ||
               !straddles(allowed, position, position + length);
      });
      if (!match) {
        ++position;
        continue;
      }
      const AddedToken& token = tokens_[static_cast<size_t>(match->id)];
      const size_t end = position + match->length;
      if ((!token.special || allowed(position, end)) &&
          (!token.single_word || stands_alone(text, position, end))) {
        found.push_back(widened(token, text, position, end, taken));
        taken = found.back().end;
      }
      position = std::max<size_t>(end, taken);
    }
    return found;
  }

 private:
  template <typename Allowed>
  static bool straddles(const Allowed& allowed, size_t begin, size_t end) {
    return !allowed(begin, end) && (allowed(begin, begin + 1) || allowed(end - 1, end));
  }
  static bool stands_alone(std::string_view text, size_t begin, size_t end);
  static Found widened(const AddedToken& token, std::string_view text, size_t begin, size_t end,
                       uint32_t taken);

  SpecialMatcher matcher_;  ///< of places in tokens_
  std::vector<AddedToken> tokens_;
  bool any_special_ = false;
};

}  // namespace wattle::inline text
