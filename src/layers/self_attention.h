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
  Matrix qkv, context;                    ///< between the steps of a layer's attention

  void clear() {
    tokens.clear();
    positions.clear();
    sequences.clear();
  }
};

/// Causal self-attention of a decoder's layer: q, k, v from one input, rotation, cache, attention, output.
/// Tensors PREFIX.attn_q|k|v|output (.weight [outputs, inputs], .bias where there are), and
/// PREFIX.attn_q_norm|attn_k_norm [head_dim] where the family normalises queries and keys before they are
/// rotated. It comes in steps (layers/team.h): all tokens are projected before any attends.
class SelfAttention {
 public:
  /// `window` 0: every token sees all before it.
  SelfAttention(Weights& weights, const std::string& prefix, int64_t width, const AttentionShape& shape,
                int64_t window);
  void normalise_queries_and_keys(Weights& weights, const std::string& prefix, float epsilon);

  /// Makes room for what lies between the steps.
  void prepare(DecoderBatch& batch) const;
  /// Queries of the batch's tokens `rows`, whose inputs are x, and their keys and values, rotated and stored.
  /// `rope` holds the angles of the batch's positions.
  void project(LayerInput& x, IndexRange rows, DecoderBatch& batch, const Rope& rope, int64_t layer,
               Work& work) const;
  void attend(DecoderBatch& batch, int64_t layer, Part part, Work& work) const;
  /// out [rows, width] = output matrix times what the tokens `rows` have attended to [+ residual].
  void output(IndexRange rows, DecoderBatch& batch, MatrixView out, ConstMatrixView residual,
              Work& work) const;

  double weight_bytes() const { return qkv_.weight_bytes() + output_.weight_bytes(); }
  double bytes_a_weight() const { return qkv_.bytes_a_weight(); }
  bool is_observed() const { return qkv_.is_observed(); }

 private:
  void rotate_and_store(IndexRange rows, DecoderBatch& batch, const Rope& rope, int64_t layer,
                        Work& work) const;
  int64_t queries() const { return shape_.heads * shape_.head_dim; }

  AttentionShape shape_;
  int64_t window_ = 0;
  Linear qkv_, output_;
  std::vector<float> query_norm_, key_norm_;  ///< empty: none
  float epsilon_ = 0;
};

}  // namespace wattle
