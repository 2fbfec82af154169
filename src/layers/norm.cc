#include "layers/norm.h"

#include "base/operation_times.h"
#include "base/threads.h"
#include "kernels/elementwise.h"

namespace wattle::inline layers {
namespace {

/// Whether a team is worth waking for it: one thread norms 8,192 values in about 2 us.
bool is_of_team(ConstMatrixView x) {
  return x.rows > 1 && x.rows * x.columns >= 8192;
}

void count(ConstMatrixView x, Work& work) {
  work.activation_bytes += 2.0 * sizeof(float) * static_cast<double>(x.rows * x.columns);
}

}  // namespace

Norm::Norm(Weights& weights, const std::string& name, int64_t width, NormKind kind, float epsilon)
    : kind_(kind), epsilon_(epsilon), weight_(weights.vector(name + ".weight", width)) {
  if (weights.has(name + ".bias")) bias_ = weights.vector(name + ".bias", width);
}

Norm Norm::where_there(Weights& weights, const std::string& name, int64_t width, NormKind kind,
                       float epsilon) {
  return weights.has(name + ".weight") ? Norm(weights, name, width, kind, epsilon) : Norm();
}

void Norm::apply(std::span<const float> row, float* out, int64_t first) const {
  if (kind_ == NormKind::kRms) {
    rms_norm(row, weight_.data() + first, epsilon_, out);
  } else {
    layer_norm(row, weight_.data() + first, bias_.empty() ? nullptr : bias_.data() + first, epsilon_, out);
  }
}

void Norm::apply(std::span<float> row, int64_t first) const {
  apply(row, row.data(), first);
}

void Norm::operator()(ConstMatrixView x, MatrixView out, Work& work) const {
  const TimedOperation timed(Operation::kNorm);
  for_each_index(x.rows, is_of_team(x), [&](int64_t r) { apply(x.row(r), out.row(r).data(), 0); });
  count(x, work);
}

void Norm::add(MatrixView x, MatrixView sum, Work& work) const {
  const TimedOperation timed(Operation::kNorm);
  for_each_index(x.rows, is_of_team(x), [&](int64_t r) {
    float* row = x.row(r).data();
    float* to = sum.row(r).data();
    apply(x.row(r), row, 0);
    for (int64_t i = 0; i < x.columns; ++i) to[i] += row[i];
  });
  count(x, work);
}

}  // namespace wattle::inline layers
