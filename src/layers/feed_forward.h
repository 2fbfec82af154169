#pragma once

#include <string>

#include "layers/linear.h"

namespace wattle {

/// Feed-forward with a gate (Shazeer 2020): down(f(gate(x)) * up(x)). Tensors PREFIX.ffn_gate|up|down.
class GatedFeedForward {
 public:
  GatedFeedForward(Weights& weights, const std::string& prefix, int64_t width, int64_t inner_width,
                   ActivationFunction function);
  /// out [tokens, width] = feed-forward(x) [+ residual].
  void operator()(LayerInput& x, MatrixView out, ConstMatrixView residual, Work& work) const;

  double weight_bytes() const { return gate_up_.weight_bytes() + down_.weight_bytes(); }

 private:
  ActivationFunction function_;
  int64_t inner_width_;
  Linear gate_up_, down_;
};

}  // namespace wattle
