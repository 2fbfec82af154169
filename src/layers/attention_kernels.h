#pragma once

#include <cstdint>

namespace wattle {

/// The inner loops of attention; every instruction set has the same furniture (attention_body.h).
struct AttentionKernels {
  /// c [rows, columns] (+)= a [rows, depth] times b [depth, columns]; strides in elements. Each element's sum
  /// runs over depth in order, whatever the number of rows, so batching does not change a bit.
  void (*product_f32)(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride,
                      const float* b, int64_t b_stride, float* c, int64_t c_stride, bool add);
  /// The same with b in IEEE binary16.
  void (*product_f16)(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride,
                      const uint16_t* b, int64_t b_stride, float* c, int64_t c_stride, bool add);
  /// One step of the online softmax (Milakov and Gimelshein 2018): scores [n] become exp(score - maximum)
  /// under the new running maximum; `sum` is brought up to date; returns the factor for what was accumulated
  /// before. n is a multiple of 16. exp is within 2e-7 relative of the exact value.
  float (*softmax_step)(float* scores, int64_t n, float& maximum, float& sum);
};

extern const AttentionKernels kAttentionPortable, kAttentionAvx2, kAttentionAvx512, kAttentionNeon;

}  // namespace wattle
