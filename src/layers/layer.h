#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "layers/attention.h"
#include "layers/feed_forward.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/rope.h"
#include "layers/talking_heads.h"

namespace wattle::inline layers {

/// What tensors do not tell about a layer. Which norms it has and where, whether its feed-forward has a gate
/// and whether it attends to an encoder's memory, it finds by the names of its tensors.
struct LayerPlan {
  int64_t width = 0, inner_width = 0;
  AttentionShape attention = {};
  NormKind norm = NormKind::kLayer;
  float epsilon = 1e-5f;
  ActivationFunction function = ActivationFunction::kGelu;
  /// Attention and feed-forward read the same hidden state, each through its norm or, where it has none of
  /// its own, the other's (GPT-J, GPT-NeoX, Phi).
  bool parallel = false;
  /// What attention and feed-forward are added to is what they read: the norm, not what was normalised
  /// (BLOOM's apply_residual_connection_post_layernorm).
  bool residual_of_norm = false;
  /// Decoders: positions a token sees, itself included; encoders: how far away a token sees. 0: all.
  int64_t window = 0;
  std::shared_ptr<const Rope> rope = {};       ///< null: queries and keys are not rotated
  std::shared_ptr<const ScoreBias> bias = {};  ///< of self-attention; null: none
  /// Names of norms (below) that have no weights, so no tensors, and are applied all the same.
  std::vector<std::string> plain_norms = {};
};

/// Tokens of several sequences, run together; each continues what its cache holds.
struct DecoderBatch {
  std::vector<int32_t> tokens;
  std::vector<int64_t> positions;  ///< of each token in its sequence
  std::vector<int64_t> lengths;    ///< of each token's sequence after the call, of which this may be a slab
  std::vector<CachedSequence> sequences;  ///< rows of the batch and their caches
  Matrix qkv, context;                    ///< between the steps of a layer

  /// Whose token the batch's row is.
  const CachedSequence& sequence_of(int64_t row) const {
    return *(std::ranges::upper_bound(sequences, row, {}, &CachedSequence::first) - 1);
  }

  void clear() {
    tokens.clear();
    positions.clear();
    lengths.clear();
    sequences.clear();
  }
};

/// A layer of a transformer (Vaswani et al. 2017) with any placement of its norms:
///
///     a = x + post_attention_norm(W_o attention(attn_norm(x)))        then  attn_output_norm(a)
///     c = a + W_co cross_attention(cross_attn_norm(a), memory)        then  cross_attn_output_norm(c)
///     y = c + post_ffw_norm(feed_forward(ffn_norm(c)))                then  layer_output_norm(y)
///
/// Every norm and the line of c are there where the file has their tensors, all named PREFIX.*: attn_q|k|v or
/// attn_qkv (whose parts may have biases attn_q|k|v.bias), attn_output (or attn_o), attn_q_norm, attn_k_norm,
/// attn_talk_scores and attn_talk_probs of heads that talk, cross_attn_q|k|v|o, ffn_up|gate|down, and the
/// norms as above. With attn_q|k|v_global some tokens are global (GlobalTokens), by these projections. It
/// comes in steps, because a token attends to others: first every token is projected, then it attends, and
/// what follows is its own.
class Layer {
 public:
  Layer(Weights& weights, const std::string& prefix, LayerPlan plan);

  const LayerPlan& plan() const { return plan_; }
  /// Queries (of global tokens: theirs), keys, values and, where there are global tokens, the keys and values
  /// that these see.
  int64_t projected_width(bool with_global = false) const {
    return qkv_.outputs() + (with_global ? global_key_value_.outputs() : 0);
  }
  bool has_global() const { return global_query_.outputs() > 0; }
  int64_t context_width() const { return plan_.attention.heads * plan_.attention.head_dim; }
  /// Of what a forward pass reads, with global tokens or without.
  double weight_bytes(bool with_global = false) const;
  /// Whether calibration looks at the inputs, which must then come whole and in order.
  bool is_observed() const { return qkv_.is_observed(); }

  /// What the layer reads first, for the layer before it.
  ReadAhead read_ahead() const { return qkv_.read_ahead(); }
  /// The read_ahead() of what comes after this layer.
  void set_next(const ReadAhead& next);

  /// qkv [tokens, projected_width()] of x [tokens, width], queries and keys normalised and rotated; `row` is
  /// the first token's place in the batch whose positions the rope holds. `global`: not 0 for the tokens of x
  /// that are; empty: none of the batch is.
  void project(ConstMatrixView x, int64_t row, MatrixView qkv, std::span<const int32_t> global,
               Work& work) const;
  /// The same for the tokens `rows` of a decoder's batch, and their keys and values go to the caches.
  void project(ConstMatrixView x, IndexRange rows, DecoderBatch& batch, int64_t layer, Work& work) const;

  /// context [tokens, context_width()] of the tokens `rows`, which see their sequences in qkv.
  void attend(ConstMatrixView qkv, std::span<const int64_t> offsets, std::span<const int32_t> global,
              MatrixView context, IndexRange rows, Work& work) const;
  /// The same for a part of a decoder's batch, by the caches.
  void attend(DecoderBatch& batch, int64_t layer, Part part, Work& work) const;

  /// What follows attention: x [tokens, width] is replaced by the layer's output. For layers with
  /// cross-attention `batch` has the sequences, whose tokens `rows` these are.
  void finish(ConstMatrixView context, MatrixView x, Work& work, DecoderBatch* batch = nullptr,
              IndexRange rows = {}, int64_t layer = 0) const;

  /// Keys and values of an encoder's hidden states [tokens, width] for this layer's cross-attention, stored
  /// from position 0 on.
  void remember(ConstMatrixView hidden, KeyValueCache& memory, int64_t layer, Work& work) const;

 private:
  void rotate(MatrixView qkv, int64_t row) const;
  /// `input` holds x, or its norm, of which `read` are the values.
  void project_global(LayerInput& input, ConstMatrixView read, MatrixView qkv,
                      std::span<const int32_t> global, Work& work) const;
  void finish_parallel(ConstMatrixView context, MatrixView x, Work& work) const;
  void attend_to_memory(MatrixView x, DecoderBatch& batch, IndexRange rows, int64_t layer, Work& work) const;
  /// x += norm(product(input)), then x = after(x).
  void add(const Linear& product, LayerInput& input, const Norm& norm, const Norm& after, MatrixView x,
           Work& work) const;

  LayerPlan plan_;
  Linear qkv_, output_;
  Linear global_query_, global_key_value_;
  TalkingHeads talk_;
  Norm query_norm_, key_norm_;
  Norm attention_norm_, post_attention_norm_, attention_output_norm_;
  Linear cross_query_, cross_key_value_, cross_output_;
  Norm cross_norm_, cross_output_norm_;
  FeedForward feed_forward_;
  Norm feed_forward_norm_, post_feed_forward_norm_, output_norm_;
};

/// hidden [tokens, width] is replaced by what all layers make of it; sequences are rows offsets[i] ..
/// offsets[i + 1]; `global` marks the tokens that are (Layer::has_global), empty: none. Threads take whole
/// sequences where these can be shared out evenly, and never wait for each other; otherwise tokens, and wait
/// once a layer, for each other's keys and values.
void run_layers(std::span<const Layer* const> layers, MatrixView hidden, std::span<const int64_t> offsets,
                std::span<const int32_t> global, Work& work);

/// The same for a decoder's batch, whose keys and values go to the caches. A team
/// divides each layer by tokens where there are enough of them, else each product by outputs.
void run_layers(std::span<const Layer* const> layers, MatrixView hidden, DecoderBatch& batch, Work& work);

}  // namespace wattle::inline layers
