#include <arm_neon.h>

#include <cstdint>

#include "kernels/attention_kernels.h"

namespace wattle::inline kernels {
namespace {

constexpr int kWidth = 4, kRows = 6, kVectors = 4;
using Vector = float __attribute__((vector_size(kWidth * 4)));

inline Vector fma(Vector a, Vector b, Vector c) {
  return (Vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
inline Vector load_half(const uint16_t* from) {
  return (Vector)vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from)));
}
inline float float_from_half(uint16_t value) {
  return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(value))), 0);
}

}  // namespace
}  // namespace wattle::inline kernels

#include "kernels/attention_body.h"

namespace wattle::inline kernels {
const AttentionKernels kAttentionNeon{product<float>, product<uint16_t>, cap_scores, soften,
                                      gather,         rescale,           scatter,    transpose};
}
