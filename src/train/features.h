#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "tensor/matrix.h"

namespace wattle::inline train {

/// The features of one text that are not zero, by ascending column.
struct SparseVector {
  std::vector<int32_t> columns;
  std::vector<float> values;

  void clear() { columns.clear(), values.clear(); }
  size_t size() const { return columns.size(); }
};

/// Rows of features, compressed: row i is entries offsets[i] .. offsets[i+1].
struct SparseMatrix {
  int64_t columns = 0;
  std::vector<int64_t> offsets{0};
  std::vector<int32_t> indices;
  std::vector<float> values;

  int64_t rows() const { return static_cast<int64_t>(offsets.size()) - 1; }
  void append(const SparseVector& row) {
    indices.insert(indices.end(), row.columns.begin(), row.columns.end());
    values.insert(values.end(), row.values.begin(), row.values.end());
    offsets.push_back(static_cast<int64_t>(values.size()));
  }
  static SparseMatrix of(ConstMatrixView dense) {
    SparseMatrix matrix;
    matrix.columns = dense.columns;
    for (int64_t i = 0; i < dense.rows; ++i) {
      for (int64_t j = 0; j < dense.columns; ++j) matrix.indices.push_back(static_cast<int32_t>(j));
      const auto row = dense.row(i);
      matrix.values.insert(matrix.values.end(), row.begin(), row.end());
      matrix.offsets.push_back(static_cast<int64_t>(matrix.values.size()));
    }
    return matrix;
  }
};

/// Divides a vector by its length; zeros stay.
inline void to_unit_length(std::span<float> vector) {
  double squares = 0;
  for (const float value : vector) squares += static_cast<double>(value) * value;
  if (squares == 0) return;
  const auto scale = static_cast<float>(1 / std::sqrt(squares));
  for (float& value : vector) value *= scale;
}

}  // namespace wattle::inline train
