#include "layers/convolution.h"

#include <algorithm>

#include "base/threads.h"

namespace wattle::inline layers {
namespace {

// Gathered rows at once: they stay in the second-level cache.
constexpr int64_t kRowsAtOnce = 96;

}  // namespace

TokenConvolution::TokenConvolution(Weights& weights, const std::string& name, int64_t kernel, int64_t width,
                                   int64_t outputs)
    : kernel_(kernel), product_(weights, {name, outputs}, kernel * width) {}

void TokenConvolution::operator()(ConstMatrixView x, std::span<const int64_t> offsets,
                                  ActivationFunction function, ConstMatrixView residual, MatrixView out,
                                  Work& work) const {
  const int64_t width = x.columns;
  Matrix gathered;
  LayerInput input;
  for (int64_t first = 0; first < x.rows; first += kRowsAtOnce) {
    const int64_t count = std::min(kRowsAtOnce, x.rows - first);
    gathered.resize(count, kernel_ * width);
    for_each_index(count, count > 1, [&](int64_t i) {
      const int64_t token = first + i;
      const auto end = std::upper_bound(offsets.begin(), offsets.end(), token);
      float* to = gathered.row(i).data();
      for (int64_t near = token - kernel_ / 2; near <= token + kernel_ / 2; ++near, to += width) {
        if (near >= *(end - 1) && near < *end) {
          std::ranges::copy(x.row(near), to);
        } else {
          std::fill_n(to, width, 0.0f);
        }
      }
    });
    input.set(gathered.view());
    product_(input, out.rows_from(first, count), work, function,
             residual.data == nullptr ? residual : residual.rows_from(first, count));
  }
  work.weight_bytes += product_.weight_bytes();
}

}  // namespace wattle::inline layers
