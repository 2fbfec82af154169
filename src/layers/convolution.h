#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/work.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "tensor/matrix.h"

namespace wattle::inline layers {

/// A convolution over the tokens of each sequence, whose length stays: a token and its neighbours, gathered
/// into one row, times NAME.weight [outputs, kernel * width] (a line has the weights of the first neighbour,
/// then the next's), plus NAME.bias. Beyond a sequence's ends there are zeros.
class TokenConvolution {
 public:
  TokenConvolution() = default;
  /// `kernel`, the tokens that are seen, is odd.
  TokenConvolution(Weights& weights, const std::string& name, int64_t kernel, int64_t width, int64_t outputs);

  explicit operator bool() const { return kernel_ > 0; }
  /// out [tokens, outputs] = f(convolution of x [tokens, width]) [+ residual]; sequence i is rows offsets[i]
  /// .. offsets[i + 1].
  void operator()(ConstMatrixView x, std::span<const int64_t> offsets, ActivationFunction function,
                  ConstMatrixView residual, MatrixView out, Work& work) const;

 private:
  int64_t kernel_ = 0;
  Linear product_;
};

}  // namespace wattle::inline layers
