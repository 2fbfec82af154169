#include "layers/post_norm_block.h"

#include <algorithm>

#include "layers/norm.h"
#include "layers/team.h"

namespace wattle {
namespace {

// Buffers of one thread, which all layers of a forward pass share.
struct Scratch {
  Matrix qkv[2], context, inner;
  std::vector<int64_t> offsets;
  LayerInput input;
};
Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

// Tokens a thread takes through a layer at once: enough to use each weight that is read well, few enough that
// what lies between the products stays in the second-level cache (96 x 1,536 floats are 590 KB).
constexpr int64_t kSlab = 96;

// A part's share of the sequences: cut where one ends that is nearest to the part's share of the tokens.
IndexRange sequences_of(std::span<const int64_t> offsets, Part part) {
  const auto nearest = [&](int64_t row) {
    const auto after = std::lower_bound(offsets.begin(), offsets.end(), row);
    const bool before = after != offsets.begin() && row - *(after - 1) < *after - row;
    return after - offsets.begin() - (before ? 1 : 0);
  };
  const IndexRange rows = part.range(offsets.back());
  return {nearest(rows.begin), nearest(rows.end)};
}

// Whether whole sequences give every thread nearly the same number of tokens: then none waits for another
// within a layer.
bool are_even(std::span<const int64_t> offsets) {
  const double fair = static_cast<double>(offsets.back()) / threads();
  for (int64_t i = 0; i < threads(); ++i) {
    const IndexRange mine = sequences_of(offsets, {i, threads()});
    const int64_t rows = offsets[static_cast<size_t>(mine.end)] - offsets[static_cast<size_t>(mine.begin)];
    if (static_cast<double>(rows) > 1.1 * fair) return false;
  }
  return true;
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

void PostNormBlock::run_sequences(MatrixView hidden, std::span<const int64_t> offsets, IndexRange sequences,
                                  const DistanceBias* bias, Work& work) const {
  Scratch& memory = scratch();
  const auto row_of = [&](int64_t sequence) { return offsets[static_cast<size_t>(sequence)]; };
  for (int64_t first = sequences.begin, next; first < sequences.end; first = next) {
    memory.offsets.assign(1, 0);
    for (next = first; next < sequences.end && memory.offsets.back() < kSlab; ++next) {
      memory.offsets.push_back(row_of(next + 1) - row_of(first));
    }
    const int64_t tokens = memory.offsets.back();
    const MatrixView rows = hidden.rows_from(row_of(first), tokens);
    memory.qkv[0].resize(tokens, qkv_.outputs());
    memory.context.resize(tokens, rows.columns);
    project(rows, memory.qkv[0].view(), work);
    attend(memory.qkv[0].view(), memory.offsets, bias, memory.context.view(), {0, tokens}, work);
    finish(memory.context.view(), rows, work);
  }
}

void PostNormBlock::project(ConstMatrixView hidden, MatrixView qkv, Work& work) const {
  LayerInput& input = scratch().input;
  input.set(hidden);
  qkv_(input, qkv, work);
}

void PostNormBlock::attend(ConstMatrixView qkv, std::span<const int64_t> offsets, const DistanceBias* bias,
                           MatrixView context, IndexRange rows, Work& work) const {
  const int64_t width = context.columns;
  attend_within(shape_, qkv.columns_from(0, width), qkv.columns_from(width, width),
                qkv.columns_from(2 * width, width), offsets, bias, context, work, rows);
}

void PostNormBlock::finish(ConstMatrixView context, MatrixView hidden, Work& work) const {
  for (int64_t first = 0; first < hidden.rows; first += kSlab) {
    const int64_t count = std::min(kSlab, hidden.rows - first);
    finish_slab(context.rows_from(first, count), hidden.rows_from(first, count), work);
  }
}

void PostNormBlock::finish_slab(ConstMatrixView context, MatrixView hidden, Work& work) const {
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

double PostNormBlock::weight_bytes() const {
  return qkv_.weight_bytes() + output_.weight_bytes() + up_.weight_bytes() + down_.weight_bytes();
}

void run_layers(std::span<const PostNormBlock> blocks, MatrixView hidden, std::span<const int64_t> offsets,
                const DistanceBias* bias, Work& work) {
  if (blocks.empty()) return;
  const Linear& first = blocks.front().qkv_;
  const bool by_team = hidden.rows >= tokens_of_team(blocks.front().weight_bytes()) && !first.is_observed();
  if (!by_team || are_even(offsets)) {
    layer_in_steps(by_team, work, [&](Part part, Work& mine) {
      for (const PostNormBlock& block : blocks) {
        block.run_sequences(hidden, offsets, sequences_of(offsets, part), bias, mine);
      }
    });
  } else {
    // A step ends one layer and begins the next. Whoever is ahead writes its projections beside those that
    // others still read.
    Scratch& shared = scratch();
    for (Matrix& qkv : shared.qkv) qkv.resize(hidden.rows, first.outputs());
    shared.context.resize(hidden.rows, hidden.columns);
    const MatrixView qkv[2] = {shared.qkv[0].view(), shared.qkv[1].view()}, context = shared.context.view();
    const auto layers = static_cast<int64_t>(blocks.size());
    layers_in_steps(true, layers + 1, work, [&](int64_t number, Part part, Work& mine) {
      const IndexRange rows = part.range(hidden.rows);
      const MatrixView own = hidden.rows_from(rows.begin, rows.count());
      if (number > 0) {
        const PostNormBlock& block = blocks[static_cast<size_t>(number - 1)];
        block.attend(qkv[(number - 1) % 2], offsets, bias, context, rows, mine);
        block.finish(context.rows_from(rows.begin, rows.count()), own, mine);
      }
      if (number == layers) return;
      blocks[static_cast<size_t>(number)].project(own, qkv[number % 2].rows_from(rows.begin, rows.count()),
                                                  mine);
    });
  }
  for (const PostNormBlock& block : blocks) work.weight_bytes += block.weight_bytes();
}

}  // namespace wattle
