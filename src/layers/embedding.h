#pragma once

#include <cstdint>
#include <span>

#include "base/work.h"
#include "file/model_file.h"
#include "tensor/matrix.h"
#include "tensor/ragged.h"

namespace wattle {

/// out [tokens, columns] = rows of an embedding table, times `scale`. Error for an id outside the table.
void embed_tokens(const Tensor& table, std::span<const int32_t> tokens, float scale, MatrixView out,
                  Work& work);

/// Adds row first + i of `positions` to the i-th token of every sequence.
void add_positions(std::span<const int64_t> offsets, const Matrix& positions, int64_t first, MatrixView out);

/// Error when a sequence is empty or longer than `most` tokens.
void check_lengths(const Ragged<int32_t>& tokens, int64_t most);

}  // namespace wattle
