#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/phases.h"
#include "base/work.h"
#include "models/model.h"
#include "tensor/matrix.h"
#include "text/truncation.h"

namespace wattle::inline train {

/// What embedding one text took.
struct EmbeddingRecord {
  Work work;                                   ///< the text's share of its forward pass, by tokens
  double tokenize = 0, forward = 0, pool = 0;  ///< seconds; those of a pass are shared by tokens
  Truncation truncation;
};

/// Texts to vectors by an encoder and its own pooling, of length 1 unless the modules of the model's folder
/// (Sentence Transformers' modules.json) leave that step out. Longer texts than the folder states, or than
/// the encoder has positions for, are cut.
class Embedder {
 public:
  /// Error when the model is no encoder or says nothing about pooling. The model must outlive the embedder.
  explicit Embedder(Model& model);

  int64_t width() const { return width_; }
  int64_t max_tokens() const { return max_tokens_; }  ///< of a text, special tokens included
  /// embeddings [texts, width]. Texts run together in passes of at most about 4,096 tokens; a text's vector
  /// does not depend on its company. One record a text.
  std::vector<EmbeddingRecord> embed(std::span<const std::string_view> texts, Matrix& embeddings);
  /// The same for `count` sequences, with its phases in `log`, which it restarts: kTokenize for
  /// `tokens(i, truncation)`, which gives the i-th, kPrefill for the forward pass, kPost for the pooling.
  using Tokens = std::function<std::vector<TokenId>(size_t i, Truncation& truncation)>;
  std::vector<EmbeddingRecord> embed(size_t count, const Tokens& tokens, Matrix& embeddings, StretchLog& log);

  /// What stands before each text; at first the prompt that the model's folder makes the default
  /// (config_sentence_transformers.json), or none. Error for a name that the model has not, and for a model
  /// that leaves prompts out of its pooling.
  void set_prompt(std::string prompt);
  void set_prompt_by_name(const std::string& name);

  /// Whether embeddings are brought to length 1; at first what the model says.
  void set_normalised(bool normalised) { normalised_ = normalised; }

  /// The ids of a text and the prompt before it, special ones included, cut at max_tokens().
  std::vector<TokenId> tokens_of(std::string_view text, Truncation& truncation) const;

 private:
  void run_pass(const Ragged<TokenId>& tokens, MatrixView embeddings, std::span<EmbeddingRecord> records,
                StretchLog& log);
  void pool(ConstMatrixView hidden, std::span<float> embedding) const;

  Model& model_;
  AveragesTokens* averages_;  ///< null for a model that reads
  int64_t width_, max_tokens_;
  bool normalised_;
  std::string prompt_;
  Matrix hidden_;
};

/// Identifies a model by what quantisation leaves alone: its architecture and the weights of its norms; one
/// without norms by `wattle.fingerprint` of its metadata. The same for every precision of one model, another
/// for any other model. 64 hexadecimal digits.
std::string fingerprint(const ModelFile& file);

}  // namespace wattle::inline train
