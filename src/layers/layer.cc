#include "layers/layer.h"

#include <algorithm>

#include "base/operation_times.h"
#include "base/threads.h"

namespace wattle::inline layers {
namespace {

// Buffers of one thread, which all layers of a forward pass share.
struct Scratch {
  Matrix normed, added;
  LayerInput input;
};
Scratch& scratch() {
  thread_local Scratch memory;
  return memory;
}

/// Tokens from which on a team is worth waking for their rotation.
constexpr int64_t kRotatedByTeam = 4;

/// What products read: x, or its norm.
LayerInput& input_of(const Norm& norm, ConstMatrixView x, Work& work) {
  Scratch& memory = scratch();
  if (!norm) {
    memory.input.set(x);
    return memory.input;
  }
  memory.normed.resize(x.rows, x.columns);
  norm(x, memory.normed.view(), work);
  memory.input.set(memory.normed.view());
  return memory.input;
}

}  // namespace

Layer::Layer(Weights& weights, const std::string& prefix, LayerPlan plan) : plan_(std::move(plan)) {
  const AttentionShape& shape = plan_.attention;
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  const int64_t width = plan_.width;
  const auto name = [&](const char* part) { return prefix + "." + part; };
  const auto norm = [&](const char* part, int64_t size) {
    if (std::ranges::find(plan_.plain_norms, part) != plan_.plain_norms.end())
      return Norm::plain(size, plan_.norm, plan_.epsilon);
    return Norm::where_there(weights, name(part), size, plan_.norm, plan_.epsilon);
  };
  if (weights.has(name("attn_qkv.weight"))) {
    qkv_ = Linear(weights, {name("attn_qkv"), queries + 2 * keys}, width);
    qkv_.add_bias(weights, name("attn_q"), 0, queries);
    qkv_.add_bias(weights, name("attn_k"), queries, keys);
    qkv_.add_bias(weights, name("attn_v"), queries + keys, keys);
  } else {
    const LinearPart parts[] = {{name("attn_q"), queries}, {name("attn_k"), keys}, {name("attn_v"), keys}};
    qkv_ = Linear(weights, parts, width);
  }
  if (weights.has(name("attn_q_global.weight"))) {
    global_query_ = Linear(weights, {name("attn_q_global"), queries}, width);
    const LinearPart parts[] = {{name("attn_k_global"), keys}, {name("attn_v_global"), keys}};
    global_key_value_ = Linear(weights, parts, width);
  }
  output_ =
      Linear(weights, {name(weights.has(name("attn_o.weight")) ? "attn_o" : "attn_output"), width}, queries);
  if (weights.has(name("attn_talk_scores.weight"))) {
    talk_ = {weights.values(name("attn_talk_scores.weight"), shape.heads, shape.heads),
             weights.values(name("attn_talk_probs.weight"), shape.heads, shape.heads)};
  }
  const auto head_norm = [&](const char* part, int64_t heads) {
    const bool each = weights.has(name(part) + ".weight") &&
                      weights.file().need(name(part) + ".weight").elements() != shape.head_dim;
    return norm(part, each ? heads * shape.head_dim : shape.head_dim);
  };
  query_norm_ = head_norm("attn_q_norm", shape.heads);
  key_norm_ = head_norm("attn_k_norm", shape.kv_heads);
  attention_norm_ = norm("attn_norm", width);
  post_attention_norm_ = norm("post_attention_norm", width);
  attention_output_norm_ = norm("attn_output_norm", width);
  if (weights.has(name("cross_attn_q.weight"))) {
    cross_query_ = Linear(weights, {name("cross_attn_q"), queries}, width);
    const LinearPart parts[] = {{name("cross_attn_k"), keys}, {name("cross_attn_v"), keys}};
    cross_key_value_ = Linear(weights, parts, width);
    cross_output_ = Linear(weights, {name("cross_attn_o"), width}, queries);
    cross_norm_ = norm("cross_attn_norm", width);
    cross_output_norm_ = norm("cross_attn_output_norm", width);
  }
  feed_forward_ = FeedForward(weights, prefix, width, plan_.inner_width, plan_.function);
  feed_forward_norm_ = norm("ffn_norm", width);
  post_feed_forward_norm_ = norm("post_ffw_norm", width);
  output_norm_ = norm("layer_output_norm", width);
  set_next({});
}

void Layer::set_next(const ReadAhead& next) {
  if (plan_.parallel) {
    qkv_.set_next(feed_forward_.read_ahead());
    feed_forward_.set_next(output_.read_ahead());
    output_.set_next(next);
    return;
  }
  qkv_.set_next(output_.read_ahead());
  if (cross_query_.outputs() > 0) {
    output_.set_next(cross_query_.read_ahead());
    cross_query_.set_next(cross_output_.read_ahead());
    cross_output_.set_next(feed_forward_.read_ahead());
  } else {
    output_.set_next(feed_forward_.read_ahead());
  }
  feed_forward_.set_next(next);
}

double Layer::weight_bytes(bool with_global) const {
  return (with_global ? global_query_.weight_bytes() + global_key_value_.weight_bytes() : 0) +
         qkv_.weight_bytes() + output_.weight_bytes() + feed_forward_.weight_bytes() +
         (cross_query_.outputs() > 0 ? cross_query_.weight_bytes() + cross_output_.weight_bytes() : 0);
}

void Layer::project_global(LayerInput& input, ConstMatrixView read, MatrixView qkv,
                           std::span<const int32_t> global, Work& work) const {
  global_key_value_(input, qkv.columns_from(qkv_.outputs(), global_key_value_.outputs()), work);
  // They are few, and each query is taken alone: bits do not depend on who else is global.
  for (int64_t i = 0; i < read.rows; ++i) {
    if (global[static_cast<size_t>(i)] == 0) continue;
    input.set(read.rows_from(i, 1));
    global_query_(input, qkv.rows_from(i, 1).columns_from(0, context_width()), work);
  }
}

void Layer::project(ConstMatrixView x, int64_t row, MatrixView qkv, std::span<const int32_t> global,
                    Work& work) const {
  LayerInput& input = input_of(attention_norm_, x, work);
  qkv_(input, qkv.columns_from(0, qkv_.outputs()), work);
  if (!global.empty()) {
    const ConstMatrixView normed = scratch().normed.view();
    project_global(input, attention_norm_ ? normed : x, qkv, global, work);
  }
  if (!plan_.rope && !query_norm_ && !key_norm_) return;
  const TimedOperation timed(Operation::kRotary);
  for_each_index(qkv.rows, qkv.rows > 1, [&](int64_t i) { rotate(qkv.rows_from(i, 1), row + i); });
}

void Layer::rotate(MatrixView qkv, int64_t row) const {
  const AttentionShape& shape = plan_.attention;
  const int64_t n = shape.head_dim;
  const auto of_head = [&](const Norm& norm, int64_t head, float* values) {
    if (norm) norm.apply({values, static_cast<size_t>(n)}, norm.size() == n ? 0 : head * n);
    if (plan_.rope) plan_.rope->rotate(row, values);
  };
  for (int64_t head = 0; head < shape.heads; ++head) of_head(query_norm_, head, qkv.data + head * n);
  for (int64_t head = 0; head < shape.kv_heads; ++head)
    of_head(key_norm_, head, qkv.data + (shape.heads + head) * n);
}

void Layer::project(ConstMatrixView x, IndexRange rows, DecoderBatch& batch, int64_t layer,
                    Work& work) const {
  qkv_(input_of(attention_norm_, x, work), batch.qkv.view().rows_from(rows.begin, rows.count()), work);
  const TimedOperation timed(Operation::kRotary);
  const AttentionShape& shape = plan_.attention;
  const int64_t n = shape.head_dim, rotated = shape.heads + shape.kv_heads;
  for_each_index(rows.count(), rows.count() >= kRotatedByTeam, [&](int64_t i) {
    const int64_t token = rows.begin + i;
    float* row = batch.qkv.row(token).data();
    rotate(batch.qkv.view().rows_from(token, 1), token);
    KeyValueCache& cache = *batch.sequence_of(token).cache;
    for (int64_t head = 0; head < shape.kv_heads; ++head) {
      cache.store(layer, head, batch.positions[static_cast<size_t>(token)], row + (shape.heads + head) * n,
                  row + (rotated + head) * n);
    }
  });
  for (const CachedSequence& sequence : batch.sequences) {
    const int64_t count =
        std::min(rows.end, sequence.first + sequence.count) - std::max(rows.begin, sequence.first);
    if (count <= 0) continue;
    work.activation_bytes +=
        static_cast<double>(count) * (static_cast<double>(sequence.cache->bytes_per_position()) /
                                          static_cast<double>(sequence.cache->shape().layers) +
                                      2.0 * sizeof(float) * static_cast<double>(rotated * n));
  }
}

void Layer::attend(ConstMatrixView qkv, std::span<const int64_t> offsets, std::span<const int32_t> global,
                   MatrixView context, IndexRange rows, Work& work) const {
  const AttentionShape& shape = plan_.attention;
  const int64_t queries = context_width(), keys = shape.kv_heads * shape.head_dim;
  const ConstMatrixView q = qkv.columns_from(0, queries), k = qkv.columns_from(queries, keys),
                        v = qkv.columns_from(queries + keys, keys);
  if (talk_) return attend_talking(shape, talk_, q, k, v, offsets, plan_.bias.get(), context, work, rows);
  GlobalTokens of_globals{global, {}, {}};
  if (!global.empty()) {
    of_globals.k = qkv.columns_from(qkv_.outputs(), keys);
    of_globals.v = qkv.columns_from(qkv_.outputs() + keys, keys);
  }
  attend_within(shape, q, k, v, offsets, plan_.bias.get(), context, work, rows, plan_.window,
                global.empty() ? nullptr : &of_globals);
}

void Layer::attend(DecoderBatch& batch, int64_t layer, Part part, Work& work) const {
  attend_cached(plan_.attention, batch.qkv.view().columns_from(0, context_width()), batch.sequences, layer,
                plan_.window, batch.context.view(), work, part, plan_.bias.get());
}

void Layer::add(const Linear& product, LayerInput& input, const Norm& norm, const Norm& after, MatrixView x,
                Work& work) const {
  if (norm) {
    Matrix& added = scratch().added;
    added.resize(x.rows, x.columns);
    product(input, added.view(), work);
    norm.add(added.view(), x, work);
  } else {
    product(input, x, work, ActivationFunction::kNone, x);
  }
  if (after) after(x, x, work);
}

void Layer::finish(ConstMatrixView context, MatrixView x, Work& work, DecoderBatch* batch, IndexRange rows,
                   int64_t layer) const {
  if (plan_.parallel) return finish_parallel(context, x, work);
  Scratch& memory = scratch();
  if (plan_.residual_of_norm) attention_norm_(x, x, work);
  memory.input.set(context);
  add(output_, memory.input, post_attention_norm_, attention_output_norm_, x, work);
  if (cross_query_.outputs() > 0) attend_to_memory(x, *batch, rows, layer, work);
  if (plan_.residual_of_norm) feed_forward_norm_(x, x, work);
  LayerInput& input = input_of(plan_.residual_of_norm ? Norm() : feed_forward_norm_, x, work);
  if (post_feed_forward_norm_) {
    memory.added.resize(x.rows, x.columns);
    feed_forward_(input, memory.added.view(), {}, work);
    post_feed_forward_norm_.add(memory.added.view(), x, work);
  } else {
    feed_forward_(input, x, x, work);
  }
  if (output_norm_) output_norm_(x, x, work);
}

void Layer::finish_parallel(ConstMatrixView context, MatrixView x, Work& work) const {
  Scratch& memory = scratch();
  memory.added.resize(x.rows, x.columns);
  feed_forward_(input_of(feed_forward_norm_ ? feed_forward_norm_ : attention_norm_, x, work),
                memory.added.view(), x, work);
  memory.input.set(context);
  output_(memory.input, x, work, ActivationFunction::kNone, memory.added.view());
}

void Layer::attend_to_memory(MatrixView x, DecoderBatch& batch, IndexRange rows, int64_t layer,
                             Work& work) const {
  // The tokens' queries and contexts of self-attention are read by now: their places serve again.
  const MatrixView query = batch.qkv.view().columns_from(0, context_width());
  const MatrixView context = batch.context.view();
  const auto mine = [&](MatrixView all) { return all.rows_from(rows.begin, rows.count()); };
  cross_query_(input_of(cross_norm_, x, work), mine(query), work);
  attend_memory(plan_.attention, query, batch.sequences, layer, rows, context, work);
  LayerInput& input = scratch().input;
  input.set(mine(context));
  add(cross_output_, input, Norm(), cross_output_norm_, x, work);
}

void Layer::remember(ConstMatrixView hidden, KeyValueCache& memory, int64_t layer, Work& work) const {
  Matrix key_values(hidden.rows, cross_key_value_.outputs());
  LayerInput input;
  input.set(hidden);
  cross_key_value_(input, key_values.view(), work);
  work.weight_bytes += cross_key_value_.weight_bytes();
  const AttentionShape& shape = plan_.attention;
  const int64_t n = shape.head_dim, keys = shape.kv_heads * n;
  for_each_index(hidden.rows, hidden.rows > 1, [&](int64_t i) {
    const float* row = key_values.row(i).data();
    for (int64_t head = 0; head < shape.kv_heads; ++head)
      memory.store(layer, head, i, row + head * n, row + keys + head * n);
  });
}

}  // namespace wattle::inline layers
