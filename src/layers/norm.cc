#include "layers/norm.h"

#include <cmath>

#include "base/threads.h"

namespace wattle {
namespace {

constexpr int64_t kLanes =
    16;  // partial sums that the compiler keeps in vectors; also the order that fixes the bits

template <typename F>
float lane_sum(int64_t n, F value) {
  float lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) lanes[lane] += value(i + lane);
  }
  for (; i < n; ++i) lanes[i % kLanes] += value(i);
  float sum = 0;
  for (const float lane : lanes) sum += lane;
  return sum;
}

void count(ConstMatrixView x, Work& work) {
  work.activation_bytes += 2.0 * sizeof(float) * static_cast<double>(x.rows * x.columns);
}

}  // namespace

void layer_norm(ConstMatrixView x, std::span<const float> weight, std::span<const float> bias, float epsilon,
                MatrixView out, Work& work) {
  const int64_t n = x.columns;
#pragma omp parallel for num_threads(threads())
  for (int64_t r = 0; r < x.rows; ++r) {
    const float* in = x.row(r).data();
    float* to = out.row(r).data();
    const float mean = lane_sum(n, [&](int64_t i) { return in[i]; }) / static_cast<float>(n);
    const float variance =
        lane_sum(n, [&](int64_t i) { return (in[i] - mean) * (in[i] - mean); }) / static_cast<float>(n);
    const float inverse = 1 / std::sqrt(variance + epsilon);
    for (int64_t i = 0; i < n; ++i) to[i] = (in[i] - mean) * inverse * weight[i] + bias[i];
  }
  count(x, work);
}

namespace {

float rms_inverse(std::span<const float> x, float epsilon) {
  const auto n = static_cast<int64_t>(x.size());
  const float mean = lane_sum(n, [&](int64_t i) { return x[i] * x[i]; }) / static_cast<float>(n);
  return 1 / std::sqrt(mean + epsilon);
}

}  // namespace

void rms_norm_row(std::span<const float> x, std::span<const float> weight, float epsilon, float* out) {
  const float inverse = rms_inverse(x, epsilon);
  for (size_t i = 0; i < x.size(); ++i) out[i] = x[i] * inverse * weight[i];
}

void rms_norm(ConstMatrixView x, std::span<const float> weight, float epsilon, MatrixView out, Work& work) {
#pragma omp parallel for num_threads(threads())
  for (int64_t r = 0; r < x.rows; ++r) rms_norm_row(x.row(r), weight, epsilon, out.row(r).data());
  count(x, work);
}

void add_rms_norm(ConstMatrixView x, std::span<const float> weight, float epsilon, MatrixView sum,
                  Work& work) {
#pragma omp parallel for num_threads(threads())
  for (int64_t r = 0; r < x.rows; ++r) {
    const float* in = x.row(r).data();
    float* to = sum.row(r).data();
    const float inverse = rms_inverse(x.row(r), epsilon);
    for (int64_t i = 0; i < x.columns; ++i) to[i] += in[i] * inverse * weight[i];
  }
  count(x, work);
}

}  // namespace wattle
