#include "layers/post_norm_block.h"

#include <algorithm>

#include "layers/norm.h"
#include "layers/team.h"

namespace wattle {
namespace {

// One set of buffers serves all layers of a forward pass, which all threads see.
struct Buffers {
  Matrix qkv, context;
};
Buffers& buffers() {
  thread_local Buffers memory;
  return memory;
}

// Of one thread.
struct Scratch {
  Matrix inner;
  LayerInput input;
};
Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

// Tokens a thread takes through the end of a layer at once: enough to use each weight that is read well, few
// enough that what lies between the products stays in the second-level cache (96 x 1,536 floats are 590 KB).
constexpr int64_t kSlab = 96;

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
  const MatrixView qkv = memory.qkv.view(), context = memory.context.view();

  layer_in_steps(
      tokens >= tokens_of_team(qkv_.bytes_a_weight()) && !qkv_.is_observed(), work,
      [&](Part part, Work& mine) {
        const IndexRange rows = part.range(tokens);
        LayerInput& input = scratch().input;
        input.set(hidden.rows_from(rows.begin, rows.count()));
        qkv_(input, qkv.rows_from(rows.begin, rows.count()), mine);
      },
      [&](Part part, Work& mine) {
        attend_within(shape_, qkv.columns_from(0, width), qkv.columns_from(width, width),
                      qkv.columns_from(2 * width, width), offsets, bias, context, mine, part);
      },
      [&](Part part, Work& mine) {
        const IndexRange rows = part.range(tokens);
        for (int64_t first = rows.begin; first < rows.end; first += kSlab) {
          const int64_t count = std::min(kSlab, rows.end - first);
          finish(context.rows_from(first, count), hidden.rows_from(first, count), mine);
        }
      });
  for (const Linear* layer : {&qkv_, &output_, &up_, &down_}) work.weight_bytes += layer->weight_bytes();
}

void PostNormBlock::finish(ConstMatrixView context, MatrixView hidden, Work& work) const {
  Scratch& memory = scratch();
  memory.inner.resize(hidden.rows, up_.outputs());
  memory.input.set(context);
  output_(memory.input, hidden, work, ActivationFunction::kNone, hidden);
  layer_norm(hidden, attention_norm_, attention_norm_bias_, epsilon_, hidden, work);

  memory.input.set(hidden);
  up_(memory.input, memory.inner.view(), work, ActivationFunction::kGelu);
  memory.input.set(memory.inner.view());
  down_(memory.input, hidden, work, ActivationFunction::kNone, hidden);
  layer_norm(hidden, output_norm_, output_norm_bias_, epsilon_, hidden, work);
}

}  // namespace wattle
