// The kernels of AVX2 with AVX-VNNI for machines without it: everything of isa_avx2vnni.cc but the one
// instruction, which is written out as the manual defines it (Intel Software Developer's Manual, VPDPBUSD).
// GCC 12 takes the undefined vectors inside its own intrinsics for mistakes of ours.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "kernels/kernel_table.h"
#include "kernels/vnni_by_arithmetic.h"

namespace wattle {
namespace {

constexpr int kLaneCount = 8;

/// Each lane gets four products of an unsigned and a signed byte, without saturation.
inline __m256i dpbusd(__m256i sums, __m256i weights, __m256i values) {
  const __m256i even = _mm256_madd_epi16(_mm256_and_si256(weights, _mm256_set1_epi16(255)),
                                         _mm256_srai_epi16(_mm256_slli_epi16(values, 8), 8));
  const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(weights, 8), _mm256_srai_epi16(values, 8));
  return _mm256_add_epi32(sums, _mm256_add_epi32(even, odd));
}

#include "kernels/lanes.h"
#include "kernels/lanes_avx2.h"
#include "kernels/lanes_avx2vnni.h"

#include "kernels/recipes.h"

#include "kernels/dense.h"
#include "kernels/quantize.h"
#include "kernels/rows.h"

#include "kernels/attention_integer.h"
#include "kernels/tiles.h"
#include "kernels/tiles_table.h"

constexpr KernelTable kTable = kernel_table<Avx2Vnni>();

}  // namespace

const KernelTable& kernels_vnni_by_arithmetic() {
  return kTable;
}

}  // namespace wattle
