// Peak loops of NEON with the dot product of bytes.
#include <arm_neon.h>

#include "kernels/peaks.h"

namespace wattle::inline kernels {
namespace {

#include "kernels/peak_loop.h"

double int8(int64_t iterations) {
  const int8x16_t w = vdupq_n_s8(3), a = vdupq_n_s8(5);
  run_loop(iterations, vdupq_n_s32(1), [&](int32x4_t sum) { return vdotq_s32(sum, w, a); });
  return operations(iterations, 16);
}

}  // namespace

const PeakLoops& peak_loops_neondot() {
  static const PeakLoops loops{int8, peak_loops_neon().bf16, peak_loops_neon().fp32};
  return loops;
}

}  // namespace wattle::inline kernels
