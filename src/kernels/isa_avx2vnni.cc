// Kernels for AVX2 with AVX-VNNI (Alder Lake and later without AVX-512).
// GCC 12 takes the undefined vectors inside its own intrinsics for mistakes of ours.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "kernels/kernel_table.h"

namespace wattle {
namespace {

constexpr int kLaneCount = 8;
#include "kernels/lanes.h"
#include "kernels/lanes_avx2.h"
#include "kernels/recipes.h"
#include "kernels/rows.h"
#include "kernels/tiles.h"
#include "kernels/tiles_table.h"

struct Avx2Vnni : Lanes256 {
  static constexpr bool kSignedBytes = false;
  static constexpr bool kDirect = false;

  template <bool kFullBytes>
  static Int dot(Int acc, Word w, const int8_t* a) {
    return (Int)_mm256_dpbusd_avx_epi32((__m256i)acc, (__m256i)w, broadcast4(a));
  }
};

constexpr KernelTable kTable = kernel_table<Avx2Vnni>();

}  // namespace

const KernelTable& kernels_avx2vnni() {
  return kTable;
}

}  // namespace wattle
