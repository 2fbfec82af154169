#include "layers/self_attention.h"

#include <algorithm>

#include "base/operation_times.h"
#include "base/threads.h"
#include "kernels/elementwise.h"

namespace wattle {
SelfAttention::SelfAttention(Weights& weights, const std::string& prefix, int64_t width,
                             const AttentionShape& shape, int64_t window)
    : shape_(shape), window_(window) {
  const int64_t queries = shape.heads * shape.head_dim, keys = shape.kv_heads * shape.head_dim;
  const LinearPart parts[] = {
      {prefix + ".attn_q", queries}, {prefix + ".attn_k", keys}, {prefix + ".attn_v", keys}};
  qkv_ = Linear(weights, parts, width);
  output_ = Linear(weights, {prefix + ".attn_output", width}, queries);
}

void SelfAttention::normalise_queries_and_keys(Weights& weights, const std::string& prefix, float epsilon) {
  query_norm_ = weights.vector(prefix + ".attn_q_norm.weight", shape_.head_dim);
  key_norm_ = weights.vector(prefix + ".attn_k_norm.weight", shape_.head_dim);
  epsilon_ = epsilon;
}

void SelfAttention::prepare(DecoderBatch& batch) const {
  const auto tokens = static_cast<int64_t>(batch.tokens.size());
  batch.qkv.resize(tokens, qkv_.outputs());
  batch.context.resize(tokens, queries());
}

void SelfAttention::project(LayerInput& x, IndexRange rows, DecoderBatch& batch, const Rope& rope,
                            int64_t layer, Work& work) const {
  qkv_(x, batch.qkv.view().rows_from(rows.begin, rows.count()), work);
  rotate_and_store(rows, batch, rope, layer, work);
}

void SelfAttention::rotate_and_store(IndexRange rows, DecoderBatch& batch, const Rope& rope, int64_t layer,
                                     Work& work) const {
  const TimedOperation timed(Operation::kRotary);
  const int64_t n = shape_.head_dim, rotated = shape_.heads + shape_.kv_heads;
  for (const CachedSequence& sequence : batch.sequences) {
    const int64_t begin = std::max(rows.begin, sequence.first);
    const int64_t count = std::min(rows.end, sequence.first + sequence.count) - begin;
    if (count <= 0) continue;
    for_each_index(count, count > 1, [&](int64_t i) {
      const int64_t token = begin + i;
      float* row = batch.qkv.row(token).data();
      for (int64_t head = 0; head < rotated; ++head) {
        const std::vector<float>& norm = head < shape_.heads ? query_norm_ : key_norm_;
        float* values = row + head * n;
        if (!norm.empty()) rms_norm({values, static_cast<size_t>(n)}, norm.data(), epsilon_, values);
        rope.rotate(token, values);
      }
      for (int64_t head = 0; head < shape_.kv_heads; ++head) {
        sequence.cache->store(layer, head, batch.positions[static_cast<size_t>(token)],
                              row + (shape_.heads + head) * n, row + (rotated + head) * n);
      }
    });
    work.activation_bytes +=
        static_cast<double>(count) * (static_cast<double>(sequence.cache->bytes_per_position()) /
                                          static_cast<double>(sequence.cache->shape().layers) +
                                      2.0 * sizeof(float) * static_cast<double>(rotated * n));
  }
}

void SelfAttention::attend(DecoderBatch& batch, int64_t layer, Part part, Work& work) const {
  attend_cached(shape_, batch.qkv.view().columns_from(0, queries()), batch.sequences, layer, window_,
                batch.context.view(), work, part);
}

void SelfAttention::output(IndexRange rows, DecoderBatch& batch, MatrixView out, ConstMatrixView residual,
                           Work& work) const {
  thread_local LayerInput context;
  context.set(batch.context.view().rows_from(rows.begin, rows.count()));
  output_(context, out, work, ActivationFunction::kNone, residual);
}

}  // namespace wattle
