#include "layers/feed_forward.h"

namespace wattle {
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

GatedFeedForward::GatedFeedForward(Weights& weights, const std::string& prefix, int64_t width,
                                   int64_t inner_width, ActivationFunction function)
    : function_(function), inner_width_(inner_width) {
  const LinearPart parts[] = {{prefix + ".ffn_gate", inner_width}, {prefix + ".ffn_up", inner_width}};
  gate_up_ = Linear(weights, parts, width);
  down_ = Linear(weights, {prefix + ".ffn_down", width}, inner_width);
}

void GatedFeedForward::operator()(LayerInput& x, MatrixView out, ConstMatrixView residual, Work& work) const {
  Buffers& memory = buffers();
  memory.inner.resize(x.tokens(), inner_width_);
  gate_up_.gated(x, function_, memory.inner.view(), work);
  memory.input.set(memory.inner.view());
  down_(memory.input, out, work, ActivationFunction::kNone, residual);
}

}  // namespace wattle
