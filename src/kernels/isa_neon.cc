// Kernels for NEON, which every 64-bit ARM has.
#include <arm_neon.h>

#include "kernels/kernel_table.h"

namespace wattle::inline kernels {
namespace {

constexpr int kLaneCount = 4;
#include "kernels/lanes.h"
#include "kernels/lanes_neon.h"

#include "kernels/recipes.h"

#include "kernels/dense.h"
#include "kernels/quantize.h"
#include "kernels/rows.h"

#include "kernels/attention_integer.h"
#include "kernels/tiles.h"
#include "kernels/tiles_table.h"

struct Neon : LanesNeon {
  /// Two products of bytes, at most 128 * 127 each, fit 16 bits; four do not.
  template <bool kFullBytes>
  static Int dot(Int acc, Word w, const int8_t* a) {
    const int8x16_t weights = signed_bytes<kFullBytes>(w), values = broadcast4(a);
    const int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(values));
    const int16x8_t high = vmull_high_s8(weights, values);
    return (Int)vpadalq_s16((int32x4_t)acc, vpaddq_s16(low, high));
  }
  static Int dot_positive(Int acc, Word w, const int8_t* a) { return dot<false>(acc, w, a); }
};

constexpr KernelTable kTable = kernel_table<Neon>();

}  // namespace

const KernelTable& kernels_neon() {
  return kTable;
}

}  // namespace wattle::inline kernels
