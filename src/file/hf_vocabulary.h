#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"

namespace wattle {

/// Kinds of tokens with the numbers of tokenizer.ggml.token_type.
enum class TokenKind : int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// A tokenizer as a Hugging Face folder describes it, on its way to the tokenizer.ggml.* keys.
struct HfVocabulary {
  std::string
      model;        ///< tokenizer.ggml.model: "bert", "gpt2", "llama"; empty when the folder has no tokenizer
  std::string pre;  ///< tokenizer.ggml.pre
  std::vector<std::string> tokens;
  std::vector<TokenKind> kinds;
  std::vector<double> scores;       ///< SentencePiece only
  std::vector<std::string> merges;  ///< byte-level BPE only: "left right"
  std::optional<bool> add_bos, add_eos, add_space_prefix;
  bool lowercase = false, strip_accents = false;  ///< WordPiece only

  /// Puts a token at its id; ids between get no text until they are set. Error for an id that no vocabulary
  /// has.
  void set(int64_t id, std::string text, TokenKind kind, const std::string& origin);
  std::optional<int64_t> find(const std::string& text) const;

 private:
  std::unordered_map<std::string, int64_t> ids_;
};

/// The vocabulary of the folder's tokenizer.json, tokenizer.model, vocab.txt, or vocab.json with merges.txt,
/// the first that is there (tokenizer.model before tokenizer.json where both are SentencePiece, for it alone
/// has the scores).
HfVocabulary read_hf_vocabulary(const std::filesystem::path& folder, const JsonView& tokenizer_config);

/// The pieces of a SentencePiece model (github.com/google/sentencepiece, sentencepiece_model.proto).
HfVocabulary read_sentencepiece_model(std::span<const std::byte> bytes, const std::string& origin);

}  // namespace wattle
