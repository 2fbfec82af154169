// Peak loops of AVX2 with AVX-VNNI.
#include <immintrin.h>

#include "kernels/peaks.h"

namespace wattle {
namespace {

#include "kernels/peak_loop.h"

double int8(int64_t iterations) {
  const __m256i w = _mm256_set1_epi8(3), a = _mm256_set1_epi8(5);
  run_loop(iterations, w, [&](__m256i sum) { return _mm256_dpbusd_avx_epi32(sum, w, a); });
  return operations(iterations, 32);
}

double fp32(int64_t iterations) {
  const __m256 w = _mm256_set1_ps(0.5f);
  run_loop(iterations, w, [&](__m256 sum) { return _mm256_fmadd_ps(w, w, sum); });
  return operations(iterations, 8);
}

constexpr PeakLoops kLoops{int8, fp32, fp32};

}  // namespace

const PeakLoops& peak_loops_avx2vnni() {
  return kLoops;
}

}  // namespace wattle
