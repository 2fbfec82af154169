#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wattle {

/// How a byte-level BPE model cuts a text before merging: a regular expression whose matches are the words.
struct PretokenizerSpec {
  std::string_view pattern;    ///< as published, Unicode, `\s` meaning White_Space
  bool nfc = false;            ///< the text is composed first
  bool ignore_merges = false;  ///< a word that is a token is that token, whatever its merges give
  bool add_bos = false;        ///< where the file does not say
};

/// The specification that a value of tokenizer.ggml.pre names; nullptr for an unknown one.
const PretokenizerSpec* find_pretokenizer(std::string_view name);
/// The names, for error sentences.
std::string pretokenizer_names();

/// A compiled pattern. Thread-safe.
class Pretokenizer {
 public:
  /// `origin` names the file in error sentences.
  Pretokenizer(std::string_view pattern, std::string origin);
  ~Pretokenizer();
  Pretokenizer(const Pretokenizer&) = delete;
  Pretokenizer& operator=(const Pretokenizer&) = delete;

  /// Ends of the words that valid UTF-8 is cut into, ascending; text between matches is a word too, so they
  /// cover it.
  std::vector<size_t> word_ends(std::string_view text) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
  std::string origin_;
};

}  // namespace wattle
