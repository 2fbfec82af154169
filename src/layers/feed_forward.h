#pragma once

#include <string>

#include "layers/linear.h"

namespace wattle::inline layers {

/// The two products between attention and attention: down(f(up(x))), or with a gate (Shazeer 2020)
/// down(f(gate(x)) * up(x)). Tensors PREFIX.ffn_up, ffn_down and, where the file has it, ffn_gate; an ffn_up
/// of 2 * inner_width rows holds the gate's rows before its own.
class FeedForward {
 public:
  FeedForward() = default;
  FeedForward(Weights& weights, const std::string& prefix, int64_t width, int64_t inner_width,
              ActivationFunction function);
  /// out [tokens, width] = feed-forward(x) [+ residual].
  void operator()(LayerInput& x, MatrixView out, ConstMatrixView residual, Work& work) const;

  ReadAhead read_ahead() const { return up_.read_ahead(gated_); }
  /// Of the product after it.
  void set_next(const ReadAhead& next) { down_.set_next(next); }

  double weight_bytes() const { return up_.weight_bytes() + down_.weight_bytes(); }

 private:
  ActivationFunction function_ = ActivationFunction::kNone;
  int64_t inner_width_ = 0;
  bool gated_ = false;
  Linear up_, down_;  ///< up_ holds gate and up where there is a gate
};

}  // namespace wattle::inline layers
