#include <algorithm>

#include <wattle/error.h>

#include "text/token_model.h"
#include "text/unicode.h"

namespace wattle::inline text {
namespace {

/// WordPiece (Devlin et al. 2019): the longest token that begins a word, then the longest continuation of
/// what is left, and so on.
class WordPiece final : public TokenModel {
 public:
  explicit WordPiece(const ModelSource& source)
      : starts_(source.vocabulary.table([&](TokenId id) { return source.vocabulary.is_plain(id); })),
        unknown_(need_unknown(source, source.json.text("unk_token").value_or("[UNK]"), "WordPiece")),
        longest_word_(source.json.integer("max_input_chars_per_word").value_or(100)) {
    const std::string prefix = source.json.text("continuing_subword_prefix").value_or("##");
    for (TokenId id = 0; id < source.vocabulary.size(); ++id) {
      const std::string_view text = source.vocabulary.text(id);
      if (source.vocabulary.is_plain(id) && text.size() > prefix.size() && text.starts_with(prefix)) {
        continuations_.insert(text.substr(prefix.size()), id);
      }
    }
  }

  void encode(std::string_view piece, std::vector<TokenPlace>& tokens) const override {
    const size_t before = tokens.size();
    bool known =
        piece.size() <= static_cast<size_t>(longest_word_) || character_count(piece) <= longest_word_;
    for (size_t begin = 0; known && begin < piece.size();) {
      const TokenTable& table = begin == 0 ? starts_ : continuations_;
      size_t length = std::min(piece.size() - begin, table.longest());
      std::optional<TokenId> found;
      for (; length > 0 && !found; found ? 0 : --length) found = table.find(piece.substr(begin, length));
      known = found.has_value();
      if (known)
        tokens.push_back({*found, static_cast<uint32_t>(begin), static_cast<uint32_t>(begin + length)});
      begin += length;
    }
    if (known) return;
    tokens.resize(before);
    tokens.push_back({unknown_, 0, static_cast<uint32_t>(piece.size())});
  }

  std::string_view kind() const override { return "wordpiece"; }

 private:
  TokenTable starts_, continuations_;
  TokenId unknown_;
  int64_t longest_word_;
};

}  // namespace

std::unique_ptr<TokenModel> make_wordpiece(const ModelSource& source) {
  return std::make_unique<WordPiece>(source);
}

}  // namespace wattle::inline text
