#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/format.h"

namespace wattle::inline kernels {

/// Keys are kept in blocks of so many positions, transposed, so that attention reads the keys of neighbouring
/// positions as one vector.
inline constexpr int64_t kKeyBlock = 64;

/// The stored keys and values of one head of one layer.
/// Keys of block b, F32 and F16: [head_dim, kKeyBlock]; Q8_0: int8 [head_dim, kKeyBlock], then the scales as
/// F16 [head_dim / 32, kKeyBlock]. Values: rows [head_dim] of the format, one a position.
struct HeadCache {
  Format format = Format::kF32;
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  size_t key_block_bytes = 0;
  size_t value_row_bytes = 0;
};

/// One query of one head, the place of its answer, and its online softmax (Milakov and Gimelshein 2018): the
/// keys from .. to that it sees, a bias by the key's position or null, and what has been seen so far.
struct AttentionRow {
  const float* query = nullptr;
  float* out = nullptr;
  int64_t from = 0, to = 0;
  const float* bias = nullptr;
  float maximum = -__builtin_inff(), total = 0;
  float factor = 1;  ///< of the last step: what was summed before it is to be multiplied with
};

/// The inner loops of attention; every instruction set has the same furniture (attention_body.h).
struct AttentionKernels {
  /// c [rows, columns] (+)= a [rows, depth] times b [depth, columns]; strides in elements. Each element's sum
  /// runs over depth in order, whatever the number of rows, so batching does not change a bit.
  void (*product_f32)(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride,
                      const float* b, int64_t b_stride, float* c, int64_t c_stride, bool add);
  /// The same with b in IEEE binary16.
  void (*product_f16)(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride,
                      const uint16_t* b, int64_t b_stride, float* c, int64_t c_stride, bool add);
  /// scores [count, columns], stride kKeyBlock, become cap * tanh(score / cap) (Gemma 2's soft cap), within
  /// 1e-6 * cap.
  void (*cap)(float* scores, int64_t count, int64_t columns, float cap);
  /// One step of every row's softmax: scores [count, columns], stride kKeyBlock, of the keys from `first_key`
  /// on become exp(score + bias - maximum) under the new maximum, 0 where a row does not see. columns is a
  /// multiple of 16. exp is within 2e-7 relative of the exact value.
  void (*soften)(AttentionRow* rows, int64_t count, float* scores, int64_t first_key, int64_t columns);
  /// queries [count, n] = the rows' queries times `factor`.
  void (*gather)(const AttentionRow* rows, int64_t count, float factor, int64_t n, float* queries);
  /// sums [count, n] times each row's factor.
  void (*rescale)(const AttentionRow* rows, int64_t count, int64_t n, float* sums);
  /// The rows' answers = sums [count, n] over their totals.
  void (*scatter)(const AttentionRow* rows, int64_t count, int64_t n, const float* sums);
  /// from [rows, columns] to to [columns, kKeyBlock]; at most kKeyBlock rows.
  void (*transpose)(const float* from, int64_t stride, int64_t rows, int64_t columns, float* to);
};

extern const AttentionKernels kAttentionPortable, kAttentionAvx2, kAttentionAvx512, kAttentionNeon;

}  // namespace wattle::inline kernels
