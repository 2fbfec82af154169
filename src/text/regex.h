#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace wattle::inline text {

/// A pattern of a tokenizer, as Hugging Face's tokenizers (Oniguruma) and llama.cpp read it: Unicode; `\s`,
/// `\w` and
/// `\d` by the Unicode standard; `^` and `$` at every line. Compiled for PCRE2 with limits on its size and on
/// the steps of a match, for patterns come from files. Thread-safe.
class Regex {
 public:
  /// `origin` names the file in error sentences. Error for a pattern that is too long, does not compile, or
  /// uses what the two libraries read differently.
  Regex(std::string_view pattern, std::string origin);
  /// A pattern that matches `text` itself.
  static Regex of_literal(std::string_view text, std::string origin);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// Calls `found(begin, end)` for each match in well-formed UTF-8, from left to right; one may be empty, but
  /// not where the match before it ended. Error for a text that takes too many steps.
  void for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& found) const;
  /// Whether the pattern matches all of the text.
  bool matches_whole(std::string_view text) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
  std::string origin_;
};

}  // namespace wattle::inline text
