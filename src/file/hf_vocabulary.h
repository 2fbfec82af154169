#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/json.h"

namespace wattle::inline file {

/// Kinds of tokens with the numbers of tokenizer.ggml.token_type.
enum class TokenKind : int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

/// A tokenizer as a Hugging Face folder describes it, on its way to the tokenizer.* keys.
struct HfVocabulary {
  /// tokenizer.ggml.model: llama.cpp's name where it knows the kind ("bert", "gpt2", "llama", "t5"), else one
  /// that it refuses ("wattle.wordpiece", ...); empty when the folder has no tokenizer.
  std::string model;
  std::string pre;  ///< tokenizer.ggml.pre
  std::vector<std::string> tokens;
  std::vector<TokenKind> kinds;
  std::vector<double> scores;       ///< SentencePiece and Unigram
  std::vector<std::string> merges;  ///< BPE: "left right"
  std::optional<bool> add_bos, add_eos, add_space_prefix, remove_extra_whitespaces;
  std::string character_map;  ///< SentencePiece's, its bytes
  std::optional<int64_t> unknown;
  /// The steps of the tokenizer in the format of tokenizer.json, without the lists above.
  nlohmann::json steps;

  /// Puts a token at its id; ids between get no text until they are set. Error for an id that no vocabulary
  /// has.
  void set(int64_t id, std::string text, TokenKind kind, const std::string& origin);
  /// Behind the last one; gives its id.
  int64_t add(std::string text, TokenKind kind, const std::string& origin);
  std::optional<int64_t> find(const std::string& text) const;
  int64_t need(const std::string& text, const std::string& origin) const;

 private:
  std::unordered_map<std::string, int64_t> ids_;
};

/// The vocabulary of the folder's tokenizer.json, else of the files that the tokenizer's class reads (a
/// SentencePiece model, vocab.txt, vocab.json with merges.txt). `config` is config.json. Error for a class
/// that is not known without tokenizer.json.
HfVocabulary read_hf_vocabulary(const std::filesystem::path& folder, const JsonView& tokenizer_config,
                                const JsonView& special_map, const JsonView& config);

/// The same without tokenizer.json.
HfVocabulary read_slow_tokenizer(const std::filesystem::path& folder, const JsonView& tokenizer_config,
                                 const JsonView& special_map, const JsonView& config);

/// A token given as its text or as an object with its `content`; empty when the key is absent.
std::string hf_token_text(const JsonView& file, const char* name);

/// {"token": id, ...} into the vocabulary.
void set_hf_tokens(const nlohmann::json* map, const std::string& origin, HfVocabulary& vocabulary);

/// A SentencePiece model (github.com/google/sentencepiece, sentencepiece_model.proto).
struct SentencePieceModel {
  struct Piece {
    std::string text;
    double score = 0;
    TokenKind kind = TokenKind::kNormal;
  };
  std::vector<Piece> pieces;
  bool bpe = false;  ///< else unigrams
  bool byte_fallback = false;
  std::string character_map;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
  bool treat_whitespace_as_suffix = false;
};
/// Error for a model of words or characters, and for a corrupt file.
SentencePieceModel read_sentencepiece_model(std::span<const std::byte> bytes, const std::string& origin);

}  // namespace wattle::inline file
