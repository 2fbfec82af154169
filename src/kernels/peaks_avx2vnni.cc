// Peak loops of AVX2 with AVX-VNNI.
#include <immintrin.h>

#include "kernels/peaks.h"

namespace wattle::inline kernels {
namespace {

#include "kernels/peak_loop.h"

double int8(int64_t iterations) {
  const __m256i w = _mm256_set1_epi8(3), a = _mm256_set1_epi8(5);
  run_loop(iterations, w, [&](__m256i sum) { return _mm256_dpbusd_avx_epi32(sum, w, a); });
  return operations(iterations, 32);
}

}  // namespace

const PeakLoops& peak_loops_avx2vnni() {
  static const PeakLoops loops{int8, peak_loops_avx2().bf16, peak_loops_avx2().fp32};
  return loops;
}

}  // namespace wattle::inline kernels
