#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace wattle::inline text {

/// What a name in tokenizer.ggml.pre says about a BPE model. The names and expressions are those of llama.cpp
/// and of the models' own tokenizer.json, from which it has them.
struct GgmlPretokenizer {
  std::string_view names;                      ///< separated by spaces
  std::span<const std::string_view> patterns;  ///< one after the other cuts what the one before left
  bool nfc = false;                            ///< the text is composed first
  bool ignore_merges = false;  ///< a word that is a token is that token, whatever its merges give
  bool add_bos = false;        ///< where the file does not say
  bool ends_with_sep = false;  ///< texts stand between <s> and </s>
  bool raw_text = false;       ///< tokens are text, not bytes' stand-ins; spaces are U+2581
};

/// nullptr for an unknown name.
const GgmlPretokenizer* find_pretokenizer(std::string_view name);
/// All names, for error sentences.
std::string pretokenizer_names();

}  // namespace wattle::inline text
