#include "layers/post_norm_block.h"

#include "layers/norm.h"

namespace wattle {
namespace {

// One set of buffers serves all layers of a thread's forward pass.
struct Buffers {
  Matrix qkv, context, inner;
  LayerInput input;
};
Buffers& buffers() {
  thread_local Buffers memory;
  return memory;
}

}  // namespace

PostNormBlock::PostNormBlock(Weights& weights, const std::string& prefix, int64_t width, int64_t inner_width,
                             const AttentionShape& shape, float epsilon)
    : shape_(shape), epsilon_(epsilon) {
  const LinearPart parts[] = {
      {prefix + ".attn_q", width}, {prefix + ".attn_k", width}, {prefix + ".attn_v", width}};
  qkv_ = Linear(weights, parts, width);
  output_ = Linear(weights, {prefix + ".attn_output", width}, width);
  up_ = Linear(weights, {prefix + ".ffn_up", inner_width}, width);
  down_ = Linear(weights, {prefix + ".ffn_down", width}, inner_width);
  attention_norm_ = weights.vector(prefix + ".attn_output_norm.weight", width);
  attention_norm_bias_ = weights.vector(prefix + ".attn_output_norm.bias", width);
  output_norm_ = weights.vector(prefix + ".layer_output_norm.weight", width);
  output_norm_bias_ = weights.vector(prefix + ".layer_output_norm.bias", width);
}

void PostNormBlock::operator()(MatrixView hidden, std::span<const int64_t> offsets, const DistanceBias* bias,
                               Work& work) const {
  Buffers& memory = buffers();
  const int64_t tokens = hidden.rows, width = hidden.columns;
  memory.qkv.resize(tokens, 3 * width);
  memory.context.resize(tokens, width);
  memory.inner.resize(tokens, up_.outputs());
  const MatrixView qkv = memory.qkv.view();

  memory.input.set(hidden);
  qkv_(memory.input, qkv, work);
  attend_within(shape_, qkv.columns_from(0, width), qkv.columns_from(width, width),
                qkv.columns_from(2 * width, width), offsets, bias, memory.context.view(), work);
  memory.input.set(memory.context.view());
  output_(memory.input, hidden, work, ActivationFunction::kNone, hidden);
  layer_norm(hidden, attention_norm_, attention_norm_bias_, epsilon_, hidden, work);

  memory.input.set(hidden);
  up_(memory.input, memory.inner.view(), work, ActivationFunction::kGelu);
  memory.input.set(memory.inner.view());
  down_(memory.input, hidden, work, ActivationFunction::kNone, hidden);
  layer_norm(hidden, output_norm_, output_norm_bias_, epsilon_, hidden, work);
}

}  // namespace wattle
