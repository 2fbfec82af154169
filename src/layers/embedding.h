#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/work.h"
#include "file/model_file.h"
#include "layers/weights.h"
#include "tensor/matrix.h"
#include "tensor/ragged.h"

namespace wattle {

/// The embedding table of a model. It stays in its file, as it is stored: rows are read from there and
/// decoded as tokens ask for them, so that the table takes no memory.
class TokenEmbedding {
 public:
  TokenEmbedding() = default;
  /// The tensor NAME [any number of tokens, width]; `weights.file()` must outlive the table.
  TokenEmbedding(Weights& weights, const std::string& name, int64_t width);

  int64_t tokens() const { return table_.rows(); }

  /// out [ids.size(), width] = rows of the table, times `scale`. Error for an id outside the table.
  void operator()(std::span<const int32_t> ids, float scale, MatrixView out, Work& work) const;

 private:
  void read_row(int32_t id, std::span<float> values) const;

  const ModelFile* file_ = nullptr;
  Tensor table_;
};

/// Adds row first + i of `positions` to the i-th token of every sequence.
void add_positions(std::span<const int64_t> offsets, const Matrix& positions, int64_t first, MatrixView out);

/// Error when a sequence is empty or longer than `most` tokens.
void check_lengths(const Ragged<int32_t>& tokens, int64_t most);

}  // namespace wattle
