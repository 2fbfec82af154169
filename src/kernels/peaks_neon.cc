// Peak loops of NEON.
#include <arm_neon.h>

#include "kernels/peaks.h"

namespace wattle::inline kernels {
namespace {

#include "kernels/peak_loop.h"

/// Bytes to 32 bits without the dot product takes four instructions.
double int8(int64_t iterations) {
  const int8x16_t w = vdupq_n_s8(3), a = vdupq_n_s8(5);
  run_loop(iterations, vdupq_n_s32(1), [&](int32x4_t sum) {
    int8x16_t weights = w;
    __asm__ volatile("" : "+w"(weights));
    const int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(a));
    return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(weights, a)));
  });
  return operations(iterations, 16);
}

double fp32(int64_t iterations) {
  const float32x4_t w = vdupq_n_f32(0.5f);
  run_loop(iterations, w, [&](float32x4_t sum) { return vfmaq_f32(sum, w, w); });
  return operations(iterations, 4);
}

constexpr PeakLoops kLoops{int8, fp32, fp32};

}  // namespace

const PeakLoops& peak_loops_neon() {
  return kLoops;
}

}  // namespace wattle::inline kernels
