#pragma once

#include <memory>
#include <string>
#include <vector>

#include "families/capabilities.h"
#include "families/heads.h"
#include "layers/convolution.h"
#include "layers/embedding.h"
#include "layers/layer.h"

namespace wattle::inline families {

/// An encoder of text, as data.
struct EncoderPlan {
  std::string prefix;  ///< of its tensors: "" or "enc."
  EmbeddingPlan embedding;
  std::vector<LayerPlan> layers;
  /// Where layers share weights (ALBERT): which of the file's layers the i-th is. Empty: each its own.
  std::vector<int64_t> shared;
  int64_t max_tokens = 0;  ///< longest sequence; what the learned positions allow if that is less
  /// Tokens that the convolution after the first layer sees, and its function; 0: there is none.
  int64_t convolution_kernel = 0;
  ActivationFunction convolution_function = ActivationFunction::kNone;
  std::vector<std::shared_ptr<Rope>> ropes;  ///< of the layers, to be set to the batch's positions
};

/// Embeddings, layers and, where the file has PREFIXoutput_norm, a last norm. With a convolution (DeBERTa
/// v2), the first layer's output is conv_norm(output + f(conv(embeddings))).
class EncoderStack {
 public:
  EncoderStack(Weights& weights, EncoderPlan plan);

  int64_t width() const { return plan_.embedding.width; }
  int64_t max_tokens() const { return std::min(plan_.max_tokens, embedding_.most_tokens()); }
  bool knows_global() const { return order_.front()->has_global(); }
  /// As ReadsText::hidden_states.
  void run(const Ragged<int32_t>& tokens, const TokenMarks& marks, MatrixView out, Work& work);

 private:
  EncoderPlan plan_;
  TextEmbedding embedding_;
  std::vector<Layer> layers_;
  std::vector<const Layer*> order_;
  TokenConvolution convolution_;
  Norm convolution_norm_, norm_;
};

/// A network that is an encoder, with its head where the file has one.
class TextEncoder : public Network, public ReadsText, public HasHead {
 public:
  TextEncoder(Weights& weights, EncoderPlan plan, const NetworkHead::Plan& head);

  using ReadsText::hidden_states;
  void hidden_states(const Ragged<int32_t>& tokens, const TokenMarks& marks, MatrixView out,
                     Work& work) override {
    stack_.run(tokens, marks, out, work);
  }
  bool knows_global() const override { return stack_.knows_global(); }
  int64_t width() const override { return stack_.width(); }
  int64_t max_tokens() const override { return stack_.max_tokens(); }

  std::optional<NetworkHeadKind> head_kind() const override { return head_.kind(); }
  int64_t head_outputs() const override { return head_.outputs(); }
  void head(const Ragged<int32_t>& tokens, ConstMatrixView hidden, Matrix& logits, Work& work) override {
    head_(tokens, hidden, logits, work);
  }

 private:
  EncoderStack stack_;
  NetworkHead head_;
};

/// The table of T5's buckets of distances (Raffel et al. 2020), spread over all distances below `reach`:
/// heads' values of `name` [buckets, heads]. Two ways: half of the buckets for keys before the query, half
/// for those after; one way: all for those before. Of a way's buckets half are exact and half logarithmic up
/// to `furthest`.
std::shared_ptr<DistanceBias> bucket_bias(Weights& weights, const std::string& name, int64_t buckets,
                                          int64_t heads, int64_t furthest, int64_t reach, bool two_ways);

}  // namespace wattle::inline families
