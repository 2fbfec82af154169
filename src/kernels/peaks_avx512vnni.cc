// Peak loops of AVX-512 with VNNI.
#include <immintrin.h>

#include "kernels/peaks.h"

namespace wattle {
namespace {

#include "kernels/peak_loop.h"

double int8(int64_t iterations) {
  const __m512i w = _mm512_set1_epi8(3), a = _mm512_set1_epi8(5);
  run_loop(iterations, w, [&](__m512i sum) { return _mm512_dpbusd_epi32(sum, w, a); });
  return operations(iterations, 64);
}

double fp32(int64_t iterations) {
  const __m512 w = _mm512_set1_ps(0.5f);
  run_loop(iterations, w, [&](__m512 sum) { return _mm512_fmadd_ps(w, w, sum); });
  return operations(iterations, 16);
}

double bf16(int64_t iterations) {
  const __m512bh w = (__m512bh)_mm512_set1_epi32(0x3F003F00);
  run_loop(iterations, _mm512_set1_ps(0.5f), [&](__m512 sum) { return _mm512_dpbf16_ps(sum, w, w); });
  return operations(iterations, 32);
}

constexpr PeakLoops kLoops{int8, fp32, fp32};
constexpr PeakLoops kLoopsBf16{int8, bf16, fp32};

}  // namespace

const PeakLoops& peak_loops_avx512vnni() {
  return kLoops;
}
const PeakLoops& peak_loops_avx512bf16() {
  return kLoopsBf16;
}

}  // namespace wattle
