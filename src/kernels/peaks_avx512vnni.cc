// Peak loops of AVX-512 with VNNI.
#include <immintrin.h>

#include "kernels/peaks.h"

namespace wattle::inline kernels {
namespace {

#include "kernels/peak_loop.h"

double int8(int64_t iterations) {
  const __m512i w = _mm512_set1_epi8(3), a = _mm512_set1_epi8(5);
  run_loop(iterations, w, [&](__m512i sum) { return _mm512_dpbusd_epi32(sum, w, a); });
  return operations(iterations, 64);
}

double bf16(int64_t iterations) {
  const __m512bh w = (__m512bh)_mm512_set1_epi32(0x3F003F00);
  run_loop(iterations, _mm512_set1_ps(0.5f), [&](__m512 sum) { return _mm512_dpbf16_ps(sum, w, w); });
  return operations(iterations, 32);
}

}  // namespace

const PeakLoops& peak_loops_avx512vnni() {
  static const PeakLoops loops{int8, peak_loops_avx512().bf16, peak_loops_avx512().fp32};
  return loops;
}
const PeakLoops& peak_loops_avx512bf16() {
  static const PeakLoops loops{int8, bf16, peak_loops_avx512().fp32};
  return loops;
}

}  // namespace wattle::inline kernels
