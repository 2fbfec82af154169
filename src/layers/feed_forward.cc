#include "layers/feed_forward.h"

namespace wattle::inline layers {
namespace {

// One set of buffers serves all layers of a thread's forward pass.
struct Buffers {
  Matrix inner;
  LayerInput input;
};
Buffers& buffers() {
  thread_local Buffers memory;
  return memory;
}

}  // namespace

FeedForward::FeedForward(Weights& weights, const std::string& prefix, int64_t width, int64_t inner_width,
                         ActivationFunction function)
    : function_(function), inner_width_(inner_width) {
  const LinearPart gate{prefix + ".ffn_gate", inner_width}, up{prefix + ".ffn_up", inner_width};
  if (weights.has(gate.name + ".weight")) {
    const LinearPart parts[] = {gate, up};
    up_ = Linear(weights, parts, width);
    gated_ = true;
  } else {
    gated_ = weights.file().need(up.name + ".weight").rows() == 2 * inner_width;
    up_ = Linear(weights, {up.name, gated_ ? 2 * inner_width : inner_width}, width);
  }
  down_ = Linear(weights, {prefix + ".ffn_down", width}, inner_width);
  up_.set_next(down_.read_ahead());
}

void FeedForward::operator()(LayerInput& x, MatrixView out, ConstMatrixView residual, Work& work) const {
  Buffers& memory = buffers();
  memory.inner.resize(x.tokens(), inner_width_);
  if (gated_) {
    up_.gated(x, function_, memory.inner.view(), work);
  } else {
    up_(x, memory.inner.view(), work, function_);
  }
  memory.input.set(memory.inner.view());
  down_(memory.input, out, work, ActivationFunction::kNone, residual);
}

}  // namespace wattle::inline layers
