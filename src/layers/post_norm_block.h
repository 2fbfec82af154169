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

  /// hidden [tokens, width] is replaced; sequences are rows offsets[i] .. offsets[i + 1].
  void operator()(MatrixView hidden, std::span<const int64_t> offsets, const DistanceBias* bias,
                  Work& work) const;

 private:
  /// What follows attention: hidden [tokens, width] is replaced by the layer's output.
  void finish(ConstMatrixView context, MatrixView hidden, Work& work) const;

  AttentionShape shape_;
  float epsilon_;
  Linear qkv_, output_, up_, down_;
  std::vector<float> attention_norm_, attention_norm_bias_, output_norm_, output_norm_bias_;
};

}  // namespace wattle
