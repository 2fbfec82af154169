#pragma once

#include <span>
#include <string>
#include <vector>

#include "layers/attention.h"
#include "layers/linear.h"

namespace wattle {

/// An encoder's layer after Vaswani et al. 2017 and BERT: attention, add and normalise, feed-forward with
/// GELU, add and normalise. Tensors PREFIX.attn_q|k|v|output, attn_output_norm, ffn_up, ffn_down,
/// layer_output_norm, all with bias.
class PostNormBlock {
 public:
  PostNormBlock(Weights& weights, const std::string& prefix, int64_t width, int64_t inner_width,
                const AttentionShape& shape, float epsilon);

 private:
  friend void run_layers(std::span<const PostNormBlock> blocks, MatrixView hidden,
                         std::span<const int64_t> offsets, const DistanceBias* bias, Work& work);

  /// The layer for whole sequences, about a slab's tokens at a time: nothing that lies between the products
  /// leaves the second-level cache.
  void run_sequences(MatrixView hidden, std::span<const int64_t> offsets, IndexRange sequences,
                     const DistanceBias* bias, Work& work) const;
  /// qkv [tokens, 3 * width] of hidden [tokens, width].
  void project(ConstMatrixView hidden, MatrixView qkv, Work& work) const;
  /// context of the tokens `rows`, which see all of their sequences in qkv.
  void attend(ConstMatrixView qkv, std::span<const int64_t> offsets, const DistanceBias* bias,
              MatrixView context, IndexRange rows, Work& work) const;
  /// What follows attention: hidden [tokens, width] is replaced by the layer's output.
  void finish(ConstMatrixView context, MatrixView hidden, Work& work) const;
  void finish_slab(ConstMatrixView context, MatrixView hidden, Work& work) const;
  double weight_bytes() const;

  AttentionShape shape_;
  float epsilon_;
  Linear qkv_, output_, up_, down_;
  std::vector<float> attention_norm_, attention_norm_bias_, output_norm_, output_norm_bias_;
};

/// hidden [tokens, width] is replaced by what all layers make of it; sequences are rows offsets[i] ..
/// offsets[i + 1]. Threads take whole sequences where these can be shared out evenly, and never wait for each
/// other; otherwise tokens, and wait once a layer, for each other's keys and values.
void run_layers(std::span<const PostNormBlock> blocks, MatrixView hidden, std::span<const int64_t> offsets,
                const DistanceBias* bias, Work& work);

}  // namespace wattle
