// Kernels for AVX-512 without VNNI (Skylake servers).
// GCC 12 takes the undefined vectors inside its own intrinsics for mistakes of ours.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>

#include "kernels/kernel_table.h"

namespace wattle::inline kernels {
namespace {

constexpr int kLaneCount = 16;
#include "kernels/lanes.h"
#include "kernels/lanes_avx512.h"

#include "kernels/recipes.h"

#include "kernels/dense.h"
#include "kernels/quantize.h"
#include "kernels/rows.h"

#include "kernels/attention_integer.h"
#include "kernels/tiles.h"
#include "kernels/tiles_table.h"

struct Plain512 : Lanes512 {
  static constexpr bool kSignedBytes = true;
  static constexpr bool kDirect = true;

  /// vpmaddubsw saturates at 16 bits: unsigned bytes up to 63 fit, full ones go in as |w - 128| and sign(w) *
  /// a.
  template <bool kFullBytes>
  static Int dot(Int acc, Word w, const int8_t* a) {
    __m512i weights = (__m512i)w, values = broadcast4(a);
    if constexpr (kFullBytes) {
      weights = _mm512_xor_si512(weights, _mm512_set1_epi8(-128));
      values = _mm512_mask_sub_epi8(values, _mm512_movepi8_mask(weights), _mm512_setzero_si512(), values);
      weights = _mm512_abs_epi8(weights);
    }
    const __m512i pairs = _mm512_maddubs_epi16(weights, values);
    acc = (Int)_mm512_add_epi32((__m512i)acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    // Otherwise GCC adds the products of a block in pairs, which it has no registers for.
    __asm__("" : "+v"(acc));
    return acc;
  }
  static Int dot_positive(Int acc, Word w, const int8_t* a) {
    const __m512i pairs = _mm512_maddubs_epi16(broadcast4(a), (__m512i)w);
    acc = (Int)_mm512_add_epi32((__m512i)acc, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)));
    __asm__("" : "+v"(acc));
    return acc;
  }
};

constexpr KernelTable kTable = kernel_table<Plain512>();

}  // namespace

const KernelTable& kernels_avx512() {
  return kTable;
}

}  // namespace wattle::inline kernels
