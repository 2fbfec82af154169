#include "kernels/elementwise.h"

#include "kernels/kernel_table.h"

namespace wattle::inline kernels {
namespace {
int64_t length(std::span<const float> row) {
  return static_cast<int64_t>(row.size());
}
}  // namespace

void apply_inplace(ActivationFunction function, std::span<float> values) {
  active_kernels().rows.apply(function, values.data(), length(values));
}

void softmax_inplace(std::span<float> values, float scale, const float* bias) {
  active_kernels().rows.softmax(values.data(), length(values), scale, bias);
}

void rms_norm(std::span<const float> x, const float* weight, float epsilon, float* out, bool add_one) {
  active_kernels().rows.rms_norm(x.data(), weight, epsilon, add_one, out, length(x));
}

void layer_norm(std::span<const float> x, const float* weight, const float* bias, float epsilon, float* out) {
  active_kernels().rows.layer_norm(x.data(), weight, bias, epsilon, out, length(x));
}

void rotate_halves(float* head, const float* cosine, const float* sine, int64_t half) {
  active_kernels().rows.rotate_halves(head, cosine, sine, half);
}

void rotate_neighbours(float* head, const float* cosines, const float* sines, int64_t count) {
  active_kernels().rows.rotate_neighbours(head, cosines, sines, count);
}

}  // namespace wattle::inline kernels
