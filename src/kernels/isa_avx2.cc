// Kernels for AVX2 with FMA and F16C (Haswell, Zen 1 and later).
// GCC 12 takes the undefined vectors inside its own intrinsics for mistakes of ours.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "kernels/kernel_table.h"

namespace wattle::inline kernels {
namespace {

constexpr int kLaneCount = 8;
#include "kernels/lanes.h"
#include "kernels/lanes_avx2.h"

#include "kernels/recipes.h"

#include "kernels/dense.h"
#include "kernels/quantize.h"
#include "kernels/rows.h"

#include "kernels/attention_integer.h"
#include "kernels/tiles.h"
#include "kernels/tiles_table.h"

struct Avx2 : Lanes256 {
  static constexpr bool kSignedBytes = true;

  /// vpmaddubsw saturates at 16 bits: unsigned bytes up to 63 fit, full ones go in as |w - 128| and sign(w) *
  /// a.
  template <bool kFullBytes>
  static Int dot(Int acc, Word w, const int8_t* a) {
    __m256i weights = (__m256i)w, values = broadcast4(a);
    if constexpr (kFullBytes) {
      weights = _mm256_xor_si256(weights, _mm256_set1_epi8(-128));
      values = _mm256_sign_epi8(values, weights);
      weights = _mm256_abs_epi8(weights);
    }
    const __m256i pairs = _mm256_maddubs_epi16(weights, values);
    acc = (Int)_mm256_add_epi32((__m256i)acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    // Otherwise GCC adds the products of a block in pairs, which it has no registers for.
    __asm__("" : "+x"(acc));
    return acc;
  }
  static Int dot_positive(Int acc, Word w, const int8_t* a) {
    const __m256i pairs = _mm256_maddubs_epi16(broadcast4(a), (__m256i)w);
    acc = (Int)_mm256_add_epi32((__m256i)acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    __asm__("" : "+x"(acc));
    return acc;
  }
};

constexpr KernelTable kTable = kernel_table<Avx2>();

}  // namespace

const KernelTable& kernels_avx2() {
  return kTable;
}

}  // namespace wattle::inline kernels
