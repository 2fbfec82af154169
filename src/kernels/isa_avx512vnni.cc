// Kernels for AVX-512 with VNNI and VBMI (Ice Lake, Zen 4 and later).
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

struct Vnni512 : Lanes512 {
  static constexpr bool kSignedBytes = false;
  static constexpr bool kDirect = true;

  template <bool kFullBytes>
  static Int dot(Int acc, Word w, const int8_t* a) {
    return (Int)_mm512_dpbusd_epi32((__m512i)acc, (__m512i)w, broadcast4(a));
  }
  static Int dot_positive(Int acc, Word w, const int8_t* a) {
    return (Int)_mm512_dpbusd_epi32((__m512i)acc, broadcast4(a), (__m512i)w);
  }
};

constexpr KernelTable kTable = kernel_table<Vnni512>();

/// The same where the processor also multiplies bfloat16.
struct Bf16 : Vnni512 {
  static constexpr bool kBfloat16Pairs = true;

  static Float dot_bf16(Float acc, Word w, const float* pair) {
    __m512 pairs = _mm512_set1_ps(*pair);
#ifdef __clang__
    asm("" : "+v"(pairs));  // Clang 16 crashes where it sees that these are copies of one value
#endif
    return (Float)_mm512_dpbf16_ps((__m512)acc, (__m512bh)w, (__m512bh)pairs);
  }
};

constexpr KernelTable with_bf16() {
  KernelTable table = kTable;
  dense_tiles<Bf16, Cells::kBfloat16>(table.bf16);
  table.bfloat16_pairs = true;
  return table;
}
constexpr KernelTable kTableBf16 = with_bf16();

}  // namespace

const KernelTable& kernels_avx512vnni() {
  return kTable;
}
const KernelTable& kernels_avx512bf16() {
  return kTableBf16;
}

}  // namespace wattle::inline kernels
