// Kernels for AVX2 with AVX-VNNI (Alder Lake and later without AVX-512).
// GCC 12 takes the undefined vectors inside its own intrinsics for mistakes of ours.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "kernels/kernel_table.h"

namespace wattle::inline kernels {
namespace {

constexpr int kLaneCount = 8;

inline __m256i dpbusd(__m256i sums, __m256i weights, __m256i values) {
  return _mm256_dpbusd_avx_epi32(sums, weights, values);
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

const KernelTable& kernels_avx2vnni() {
  return kTable;
}

}  // namespace wattle::inline kernels
