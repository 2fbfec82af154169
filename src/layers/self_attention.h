#pragma once

#include <span>
#include <string>
#include <vector>

#include "layers/attention.h"
#include "layers/linear.h"
#include "layers/rope.h"

namespace wattle {

/// Tokens of several sequences, run together; each continues what its cache holds.
struct DecoderBatch {
  std::vector<int32_t> tokens;
  std::vector<int64_t> positions;         ///< of each token in its sequence
  std::vector<CachedSequence> sequences;  ///< rows of the batch and their caches

  void clear() {
    tokens.clear();
    positions.clear();
    sequences.clear();
  }
};

/// Causal self-attention of a decoder's layer: q, k, v from one input, rotation, cache, attention, output.
/// Tensors PREFIX.attn_q|k|v|output (.weight [outputs, inputs], .bias where there are), and
/// PREFIX.attn_q_norm|attn_k_norm [head_dim] where the family normalises queries and keys before they are
/// rotated.
class SelfAttention {
 public:
  /// `window` 0: every token sees all before it.
  SelfAttention(Weights& weights, const std::string& prefix, int64_t width, const AttentionShape& shape,
                int64_t window);
  void normalise_queries_and_keys(Weights& weights, const std::string& prefix, float epsilon);

  /// out [tokens, width] = attention(x) [+ residual]. `rope` holds the angles of the batch's positions.
  void operator()(LayerInput& x, const DecoderBatch& batch, const Rope& rope, int64_t layer, MatrixView out,
                  ConstMatrixView residual, Work& work);

 private:
  void rotate_and_store(const DecoderBatch& batch, const Rope& rope, int64_t layer, MatrixView qkv,
                        Work& work) const;

  AttentionShape shape_;
  int64_t window_ = 0;
  Linear qkv_, output_;
  std::vector<float> query_norm_, key_norm_;  ///< empty: none
  float epsilon_ = 0;
};

}  // namespace wattle
