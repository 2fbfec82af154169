#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace wattle::inline decode {

/// The text of a sequence that grows token by token: what is certain of it is given out at once, whole
/// characters only, and nothing from a stop string on. Always valid UTF-8.
class TextStream {
 public:
  /// `stops` are not empty strings. The tokenizer must outlive the stream.
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stops);

  /// Text that the token makes certain; may be empty. A beginning of a stop string is held back. Valid until
  /// the next call.
  std::string_view append(TokenId id);
  /// The rest, once no token follows.
  std::string_view finish();
  /// Whether a stop string came; nothing may be appended then.
  bool stopped() const { return stopped_; }
  /// All that was given out.
  std::string_view text() const { return std::string_view(text_).substr(0, given_); }

 private:
  std::string fresh() const;
  std::string_view give(bool all);

  const Tokenizer& tokenizer_;
  std::vector<std::string> stops_;
  // Tokens are decoded in the company of those before them, for their text may depend on these.
  std::vector<TokenId> window_;
  size_t known_tokens_ = 0;  ///< of the window, whose text is in text_
  std::string known_;        ///< their text, decoded alone
  std::string text_;
  size_t given_ = 0;  ///< bytes of it
  bool stopped_ = false;
};

}  // namespace wattle::inline decode
