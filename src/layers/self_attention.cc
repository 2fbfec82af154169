#include "layers/self_attention.h"

#include "base/operation_times.h"
#include "base/threads.h"
#include "kernels/elementwise.h"

namespace wattle {
namespace {

// One set of buffers serves all layers of a thread's forward pass.
struct Buffers {
  Matrix qkv, context;
  LayerInput context_input;
};
Buffers& buffers() {
  thread_local Buffers memory;
  return memory;
}

}  // namespace

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

void SelfAttention::rotate_and_store(const DecoderBatch& batch, const Rope& rope, int64_t layer,
                                     MatrixView qkv, Work& work) const {
  const TimedOperation timed(Operation::kRotary);
  const int64_t n = shape_.head_dim, rotated = shape_.heads + shape_.kv_heads;
  const size_t pieces = batch.sequences.size();
#pragma omp parallel num_threads(threads())
  for (size_t piece = 0; piece < pieces; ++piece) {
    const CachedSequence& sequence = batch.sequences[piece];
#pragma omp for schedule(static) nowait
    for (int64_t token = 0; token < sequence.count; ++token) {
      float* row = qkv.data + (sequence.first + token) * qkv.stride;
      for (int64_t head = 0; head < rotated; ++head) {
        const std::vector<float>& norm = head < shape_.heads ? query_norm_ : key_norm_;
        float* values = row + head * n;
        if (!norm.empty()) rms_norm({values, static_cast<size_t>(n)}, norm.data(), epsilon_, values);
        rope.rotate(sequence.first + token, values);
      }
      for (int64_t head = 0; head < shape_.kv_heads; ++head) {
        sequence.cache->store(layer, head, sequence.position + token, row + (shape_.heads + head) * n,
                              row + (rotated + head) * n);
      }
    }
  }
  for (const CachedSequence& sequence : batch.sequences) {
    work.activation_bytes +=
        static_cast<double>(sequence.count) * (static_cast<double>(sequence.cache->bytes_per_position()) /
                                                   static_cast<double>(sequence.cache->shape().layers) +
                                               2.0 * sizeof(float) * static_cast<double>(rotated * n));
  }
}

void SelfAttention::operator()(LayerInput& x, const DecoderBatch& batch, const Rope& rope, int64_t layer,
                               MatrixView out, ConstMatrixView residual, Work& work) {
  Buffers& memory = buffers();
  const int64_t queries = shape_.heads * shape_.head_dim;
  memory.qkv.resize(x.tokens(), qkv_.outputs());
  memory.context.resize(x.tokens(), queries);
  qkv_(x, memory.qkv.view(), work);
  rotate_and_store(batch, rope, layer, memory.qkv.view(), work);
  attend_cached(shape_, memory.qkv.view().columns_from(0, queries), batch.sequences, layer, window_,
                memory.context.view(), work);
  memory.context_input.set(memory.context.view());
  output_(memory.context_input, out, work, ActivationFunction::kNone, residual);
}

}  // namespace wattle
