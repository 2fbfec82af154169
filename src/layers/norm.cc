#include "layers/norm.h"

#include "base/operation_times.h"
#include "base/threads.h"
#include "kernels/elementwise.h"

namespace wattle {
namespace {

void count(ConstMatrixView x, Work& work) {
  work.activation_bytes += 2.0 * sizeof(float) * static_cast<double>(x.rows * x.columns);
}

}  // namespace

void layer_norm(ConstMatrixView x, std::span<const float> weight, std::span<const float> bias, float epsilon,
                MatrixView out, Work& work) {
  const TimedOperation timed(Operation::kNorm);
  for_each_index(x.rows, x.rows > 1, [&](int64_t r) {
    layer_norm(x.row(r), weight.data(), bias.data(), epsilon, out.row(r).data());
  });
  count(x, work);
}

void rms_norm(ConstMatrixView x, std::span<const float> weight, float epsilon, MatrixView out, Work& work) {
  const TimedOperation timed(Operation::kNorm);
  for_each_index(x.rows, x.rows > 1,
                 [&](int64_t r) { rms_norm(x.row(r), weight.data(), epsilon, out.row(r).data()); });
  count(x, work);
}

void add_rms_norm(MatrixView x, std::span<const float> weight, float epsilon, MatrixView sum, Work& work) {
  const TimedOperation timed(Operation::kNorm);
  for_each_index(x.rows, x.rows > 1, [&](int64_t r) {
    float* row = x.row(r).data();
    float* to = sum.row(r).data();
    rms_norm(x.row(r), weight.data(), epsilon, row);
    for (int64_t i = 0; i < x.columns; ++i) to[i] += row[i];
  });
  count(x, work);
}

}  // namespace wattle
