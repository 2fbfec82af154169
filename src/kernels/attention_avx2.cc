#include <immintrin.h>

#include <cstdint>

#include "kernels/attention_kernels.h"

namespace wattle::inline kernels {
namespace {

constexpr int kWidth = 8, kRows = 6, kVectors = 2;
using Vector = float __attribute__((vector_size(kWidth * 4)));

inline Vector fma(Vector a, Vector b, Vector c) {
  return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
inline Vector load_half(const uint16_t* from) {
  return (Vector)_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
inline float float_from_half(uint16_t value) {
  return _cvtsh_ss(value);
}

}  // namespace
}  // namespace wattle::inline kernels

#include "kernels/attention_body.h"

namespace wattle::inline kernels {
const AttentionKernels kAttentionAvx2{product<float>, product<uint16_t>, cap_scores, soften,
                                      gather,         rescale,           scatter,    transpose};
}
