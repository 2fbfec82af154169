#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/work.h"
#include "file/model_file.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/weights.h"
#include "tensor/matrix.h"
#include "tensor/ragged.h"

namespace wattle::inline layers {

/// The embedding table of a model. It stays in its file, as it is stored: rows are read from there and
/// decoded as tokens ask for them, so that the table takes no memory.
class TokenEmbedding {
 public:
  TokenEmbedding() = default;
  /// The tensor NAME [any number of tokens, width]; `weights.file()` must outlive the table.
  TokenEmbedding(Weights& weights, const std::string& name, int64_t width);

  int64_t tokens() const { return table_.rows(); }
  size_t row_bytes() const;  ///< of one token, as stored

  /// sum [width] += the row of `id`, which the table has, times `scale`. Reads the mapping itself: for a
  /// model that is nothing but its table, which may stay in memory.
  void add_row(int32_t id, float scale, std::span<float> sum) const;

  /// out [ids.size(), width] = rows of the table, times `scale`. Error for an id outside the table.
  void operator()(std::span<const int32_t> ids, float scale, MatrixView out, Work& work) const;

 private:
  void read_row(int32_t id, std::span<float> values) const;

  const ModelFile* file_ = nullptr;
  Tensor table_;
};

enum class Positions {
  kNone,
  kLearned,          ///< a table of the file
  kSinusoids,        ///< sines in the first half of the features, cosines in the second (Marian, Pegasus)
  kTensorSinusoids,  ///< the same with frequencies 10000^(-i / (half - 1)), as tensor2tensor has them
                     ///< (M2M-100)
};

struct EmbeddingPlan {
  int64_t width = 0;       ///< of the layers
  int64_t word_width = 0;  ///< of the table, 0: width; others are projected to `width` by token_embd_proj
  float scale = 1;         ///< of the words
  Positions positions = Positions::kNone;
  int64_t first_position = 0;  ///< row of the table that the first token of a sequence takes
  bool norm_last = false;      ///< the norm comes after the projection (DeBERTa)
  bool project_words =
      false;  ///< the projection comes before positions, types and norm (OPT) instead of after them
  int32_t padding =
      -1;  ///< fairseq's encoders: this id is not counted and takes the row before first_position
  int64_t most_positions = 0;  ///< rows that sinusoids need
  NormKind norm = NormKind::kLayer;
  float epsilon = 1e-5f;
};

/// What a text model makes of tokens before its first layer: words * scale [+ positions] [+ types],
/// normalised and projected where the file has the tensors. PREFIXtoken_embd (or token_embd, which an encoder
/// and a decoder share), PREFIXposition_embd, token_types, PREFIXtoken_embd_norm, PREFIXtoken_embd_proj.
class TextEmbedding {
 public:
  TextEmbedding() = default;
  TextEmbedding(Weights& weights, const std::string& prefix, const EmbeddingPlan& plan);

  int64_t tokens() const { return words_.tokens(); }
  /// Longest sequence that has positions; INT64_MAX where none are learned.
  int64_t most_tokens() const;

  /// hidden [tokens, width]. `positions` of each token in its sequence, from 0; `types` one a token, or
  /// empty: all 0.
  void operator()(std::span<const int32_t> ids, std::span<const int64_t> positions,
                  std::span<const int32_t> types, MatrixView hidden, Work& work) const;

 private:
  void add_positions(std::span<const int64_t> positions, std::span<const int32_t> types,
                     MatrixView out) const;

  EmbeddingPlan plan_;
  TokenEmbedding words_;
  Matrix positions_, types_;  ///< without rows: none
  Norm norm_;
  Linear projection_;
};

/// Positions of every token in its sequence, from 0; tokens `padding` are not counted and have position -1.
std::vector<int64_t> positions_of(const Ragged<int32_t>& tokens, int32_t padding = -1);

/// Error when a sequence is empty or longer than `most` tokens.
void check_lengths(const Ragged<int32_t>& tokens, int64_t most);

}  // namespace wattle::inline layers
