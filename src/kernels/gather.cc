#include <algorithm>

#include <wattle/error.h>

#include "kernels/matmul.h"

namespace wattle {

void gather_rows(const Tensor& tensor, std::span<const int32_t> rows, MatrixView out, Work& work) {
  const int64_t k = tensor.row_length();
  if (out.rows != static_cast<int64_t>(rows.size()) || out.columns != k) {
    fail("tensor {}: {} rows of {} do not fit a result of {} x {}", tensor.name, rows.size(), k, out.rows,
         out.columns);
  }
  const size_t stride = row_bytes(tensor.format, static_cast<size_t>(k));
  for (const int32_t row : rows) {
    if (row < 0 || row >= tensor.rows()) {
      fail("tensor {}: there is no row {} among {}; the token does not belong to this model", tensor.name,
           row, tensor.rows());
    }
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    decode(tensor.format, tensor.bytes.subspan(static_cast<size_t>(rows[i]) * stride, stride),
           out.row(static_cast<int64_t>(i)));
  }
  work.weight_bytes += static_cast<double>(stride * rows.size());
  work.activation_bytes += static_cast<double>(rows.size()) * static_cast<double>(k) * 4;
}

}  // namespace wattle
