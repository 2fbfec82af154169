#include "layers/embedding.h"

#include <wattle/error.h>

#include "base/operation_times.h"
#include "kernels/matmul.h"

namespace wattle {

void embed_tokens(const Tensor& table, std::span<const int32_t> tokens, float scale, MatrixView out,
                  Work& work) {
  const TimedOperation timed(Operation::kEmbedding);
  for (const int32_t token : tokens) {
    if (token < 0 || token >= table.rows()) {
      fail("token {}: the model's vocabulary has {}; the tokenizer belongs to another model", token,
           table.rows());
    }
  }
  gather_rows(table, tokens, out, work);
  if (scale == 1) return;
  for (int64_t row = 0; row < out.rows; ++row) {
    for (float& value : out.row(row)) value *= scale;
  }
}

void add_positions(std::span<const int64_t> offsets, const Matrix& positions, int64_t first, MatrixView out) {
  for (size_t sequence = 0; sequence + 1 < offsets.size(); ++sequence) {
    for (int64_t row = offsets[sequence]; row < offsets[sequence + 1]; ++row) {
      float* values = out.row(row).data();
      const float* position = positions.row(first + row - offsets[sequence]).data();
      for (int64_t i = 0; i < out.columns; ++i) values[i] += position[i];
    }
  }
}

void check_lengths(const Ragged<int32_t>& tokens, int64_t most) {
  for (int64_t i = 0; i < tokens.sequences(); ++i) {
    if (tokens.length(i) == 0) fail("sequence {} has no tokens; a model reads at least one", i);
    if (tokens.length(i) > most) {
      fail("sequence {} has {} tokens; this model reads {}: cut the text", i, tokens.length(i), most);
    }
  }
}

}  // namespace wattle
