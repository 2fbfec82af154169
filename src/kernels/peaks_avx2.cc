// Peak loops of AVX2.
#include <immintrin.h>

#include "kernels/peaks.h"

namespace wattle::inline kernels {
namespace {

#include "kernels/peak_loop.h"

/// Bytes to 32 bits without VNNI takes three instructions. The asm hides that the operands do not change.
inline __m256i chain(__m256i w, __m256i a, __m256i sum) {
  __asm__ volatile("" : "+v"(w));
  return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(w, a), _mm256_set1_epi16(1)));
}

double int8(int64_t iterations) {
  const __m256i w = _mm256_set1_epi8(3), a = _mm256_set1_epi8(5);
  run_loop(iterations, w, [&](__m256i sum) { return chain(w, a, sum); });
  return operations(iterations, 32);
}

double fp32(int64_t iterations) {
  const __m256 w = _mm256_set1_ps(0.5f);
  run_loop(iterations, w, [&](__m256 sum) { return _mm256_fmadd_ps(w, w, sum); });
  return operations(iterations, 8);
}

constexpr PeakLoops kLoops{int8, fp32, fp32};

}  // namespace

const PeakLoops& peak_loops_avx2() {
  return kLoops;
}

}  // namespace wattle::inline kernels
