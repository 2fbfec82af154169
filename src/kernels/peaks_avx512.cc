// Peak loops of AVX-512 without VNNI.
#include <immintrin.h>

#include "kernels/peaks.h"

namespace wattle::inline kernels {
namespace {

#include "kernels/peak_loop.h"

/// Bytes to 32 bits without VNNI takes three instructions. The asm hides that the operands do not change.
inline __m512i chain(__m512i w, __m512i a, __m512i sum) {
  __asm__ volatile("" : "+v"(w));
  return _mm512_add_epi32(sum, _mm512_madd_epi16(_mm512_maddubs_epi16(w, a), _mm512_set1_epi16(1)));
}

double int8(int64_t iterations) {
  const __m512i w = _mm512_set1_epi8(3), a = _mm512_set1_epi8(5);
  run_loop(iterations, w, [&](__m512i sum) { return chain(w, a, sum); });
  return operations(iterations, 64);
}

double fp32(int64_t iterations) {
  const __m512 w = _mm512_set1_ps(0.5f);
  run_loop(iterations, w, [&](__m512 sum) { return _mm512_fmadd_ps(w, w, sum); });
  return operations(iterations, 16);
}

constexpr PeakLoops kLoops{int8, fp32, fp32};

}  // namespace

const PeakLoops& peak_loops_avx512() {
  return kLoops;
}

}  // namespace wattle::inline kernels
