#include <immintrin.h>

#include <cstdint>

#include "kernels/attention_kernels.h"

namespace wattle::inline kernels {
namespace {

constexpr int kWidth = 16, kRows = 6, kVectors = 4;
using Vector = float __attribute__((vector_size(kWidth * 4)));

inline Vector fma(Vector a, Vector b, Vector c) {
  return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
inline Vector load_half(const uint16_t* from) {
  return (Vector)_mm512_maskz_cvtph_ps(0xFFFF, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
inline float float_from_half(uint16_t value) {
  return _cvtsh_ss(value);
}

}  // namespace
}  // namespace wattle::inline kernels

#include "kernels/attention_body.h"

namespace wattle::inline kernels {
const AttentionKernels kAttentionAvx512{product<float>, product<uint16_t>, cap_scores, soften,
                                        gather,         rescale,           scatter,    transpose};
}
