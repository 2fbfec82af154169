#include <cstdint>

#include "kernels/attention_kernels.h"
#include "quant/half.h"

namespace wattle::inline kernels {
namespace {

constexpr int kWidth = 4, kRows = 4, kVectors = 2;
using Vector = float __attribute__((vector_size(kWidth * 4)));

#include "kernels/fused.h"

inline Vector fma(Vector a, Vector b, Vector c) {
  return fused_multiply_add(a, b, c);
}
inline Vector load_half(const uint16_t* from) {
  return Vector{float_from_half(from[0]), float_from_half(from[1]), float_from_half(from[2]),
                float_from_half(from[3])};
}

}  // namespace
}  // namespace wattle::inline kernels

#include "kernels/attention_body.h"

namespace wattle::inline kernels {
const AttentionKernels kAttentionPortable{product<float>, product<uint16_t>, cap_scores, soften,
                                          gather,         rescale,           scatter,    transpose};
}
