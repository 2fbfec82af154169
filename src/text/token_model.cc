#include "text/token_model.h"

#include <algorithm>
#include <charconv>

#include <wattle/error.h>

namespace wattle::inline text {
namespace {

struct Named {
  std::string_view type;
  std::unique_ptr<TokenModel> (*make)(const ModelSource&);
};
constexpr Named kModels[] = {
    {"WordPiece", make_wordpiece},
    {"WordLevel", make_word_level},
    {"BPE", make_bpe},
    {"Unigram", make_unigram},
    {"SentencePieceUnigram", make_unigram},
    {"SentencePieceBPE", make_sentencepiece_bpe},
    {"MarkedBPE", make_marked_bpe},
};

/// One token a piece.
class WordLevel final : public TokenModel {
 public:
  explicit WordLevel(const ModelSource& source)
      : words_(source.vocabulary.table([&](TokenId id) { return source.vocabulary.is_plain(id); })),
        unknown_(need_unknown(source, source.json.text("unk_token").value_or("<unk>"), "WordLevel")) {}
  void encode(std::string_view piece, std::vector<TokenPlace>& tokens) const override {
    tokens.push_back({words_.find(piece).value_or(unknown_), 0, static_cast<uint32_t>(piece.size())});
  }
  std::string_view kind() const override { return "wordlevel"; }

 private:
  TokenTable words_;
  TokenId unknown_;
};

}  // namespace

std::unique_ptr<TokenModel> make_word_level(const ModelSource& source) {
  return std::make_unique<WordLevel>(source);
}

std::unique_ptr<TokenModel> make_token_model(const ModelSource& source) {
  const std::string type = source.json.text("type").value_or("without a type");
  for (const Named& named : kModels) {
    if (named.type == type) return named.make(source);
  }
  fail("{}: a tokenizer of the kind {} is not known here; use another model", source.json.origin(), type);
}

int named_byte(std::string_view token) {
  unsigned value = 0;
  const bool formed = token.size() == 6 && token.starts_with("<0x") && token.back() == '>' &&
                      std::from_chars(token.data() + 3, token.data() + 5, value, 16).ptr == token.data() + 5;
  return formed ? static_cast<int>(value) : -1;
}

ByteTokens::ByteTokens(const Vocabulary& vocabulary) : ByteTokens() {
  for (TokenId id = 0; id < vocabulary.size(); ++id) {
    const int byte = vocabulary.is_plain(id) ? named_byte(vocabulary.text(id)) : -1;
    if (byte >= 0 && ids[static_cast<size_t>(byte)] < 0) ids[static_cast<size_t>(byte)] = id;
  }
}

bool ByteTokens::complete() const {
  return std::all_of(ids.begin(), ids.end(), [](TokenId id) { return id >= 0; });
}

TokenId need_unknown(const ModelSource& source, std::string_view text, std::string_view what) {
  const auto id = source.vocabulary.find(text);
  if (!id) {
    fail(
        "{}: a {} vocabulary needs an unknown token, and \"{}\" is not in it; convert or get the model again",
        source.metadata.origin(), what, text);
  }
  return *id;
}

std::vector<double> read_scores(const ModelSource& source) {
  const auto scores = source.metadata.numbers("tokenizer.ggml.scores");
  if (scores.size() != static_cast<size_t>(source.vocabulary.size())) {
    fail("{}: {} tokens but {} scores (tokenizer.ggml.scores); convert or pull the model again",
         source.metadata.origin(), source.vocabulary.size(), scores.size());
  }
  if (std::any_of(scores.begin(), scores.end(), [](double score) { return score != score; })) {
    fail("{}: a score (tokenizer.ggml.scores) is not a number; convert or pull the model again",
         source.metadata.origin());
  }
  return {scores.begin(), scores.end()};
}

}  // namespace wattle::inline text
