// Kernels for NEON with the dot product of bytes (ARMv8.2 and later: Cortex-A76, Apple M1, Graviton 2).
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

struct NeonDot : LanesNeon {
  template <bool kFullBytes>
  static Int dot(Int acc, Word w, const int8_t* a) {
    return (Int)vdotq_s32((int32x4_t)acc, signed_bytes<kFullBytes>(w), broadcast4(a));
  }
  static Int dot_positive(Int acc, Word w, const int8_t* a) { return dot<false>(acc, w, a); }
};

constexpr KernelTable kTable = kernel_table<NeonDot>();

}  // namespace

const KernelTable& kernels_neondot() {
  return kTable;
}

}  // namespace wattle::inline kernels
