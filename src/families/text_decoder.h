#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "families/capabilities.h"
#include "families/heads.h"
#include "families/hyperparameters.h"
#include "layers/embedding.h"
#include "layers/layer.h"

namespace wattle::inline families {

/// A decoder of text, as data.
struct DecoderPlan {
  std::string prefix;  ///< of its tensors: "" or "dec."
  EmbeddingPlan embedding;
  std::vector<LayerPlan> layers;
  int64_t context_length = 0;                ///< tokens the model was trained with
  std::vector<std::shared_ptr<Rope>> ropes;  ///< of the layers, to be set to the batch's positions
  bool plain_norm = false;                   ///< the last norm has no weights
  float logit_scale = 1;                     ///< of what the output matrix reads
  float logit_softcap = 0;                   ///< logits become cap * tanh(logit / cap); 0: they do not
};

/// Embeddings, layers, a last norm and projection (PREFIXoutput_norm, PREFIXoutput_proj) where the file has
/// them, and the output matrix: `output`, or token_embd again where the file has none, with output.bias.
/// Ragged batches run in slabs, so that a long prompt needs no more memory than a short one.
class DecoderStack {
 public:
  DecoderStack(Weights& weights, DecoderPlan plan, const NetworkOptions& options);

  /// As ContinuesText.
  std::unique_ptr<KeyValueCache> new_cache(int64_t capacity) const;
  void forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits, Work& work);
  int64_t rotation_change() const;
  int64_t vocabulary() const { return output_.outputs(); }
  int64_t context_length() const { return plan_.context_length; }
  int64_t width() const { return plan_.embedding.width; }
  /// out [tokens, width]: hidden states after the last norm, by caches of their own. `encoded`: hidden states
  /// of an encoder for the same sequences, one row a token, which decoders with cross-attention see.
  void hidden_states(const Ragged<int32_t>& tokens, MatrixView out, Work& work, ConstMatrixView encoded = {});

  /// Keys and values of an encoder's hidden states [tokens, width] for the cross-attention of all layers.
  std::shared_ptr<const KeyValueCache> remember(ConstMatrixView hidden, Work& work) const;

 private:
  void check(std::span<const DecoderInput> inputs) const;
  /// Runs all inputs a slab at a time; finished(last_rows) is called after each with the rows of the slab (in
  /// hidden_) that are the last of their inputs.
  template <class Finished>
  void run_slabs(std::span<const DecoderInput> inputs, Work& work, const Finished& finished);
  void run_slab(Work& work);
  /// Positions of the batch's tokens without those of padding, as fairseq counts.
  const std::vector<int64_t>& counted_positions();
  void write_logits(ConstMatrixView hidden, MatrixView logits, Work& work);
  std::unique_ptr<KeyValueCache> cache_for(int64_t capacity) const;

  DecoderPlan plan_;
  NetworkOptions options_;
  TextEmbedding embedding_;
  std::vector<Layer> layers_;
  std::vector<const Layer*> order_;
  Norm norm_;
  Linear projection_, output_;
  // Of the slab that runs.
  DecoderBatch batch_;
  std::vector<int64_t> counted_;
  Matrix hidden_, normed_, projected_;
};

/// A network that is a decoder, with its head where the file has one.
class TextDecoder : public Network, public ContinuesText, public ReadsText, public HasHead {
 public:
  TextDecoder(Weights& weights, DecoderPlan plan, const NetworkOptions& options);

  std::unique_ptr<KeyValueCache> new_cache(int64_t capacity) const override {
    return stack_.new_cache(capacity);
  }
  void forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
               Work& work) override {
    stack_.forward(inputs, wanted, logits, work);
  }
  int64_t rotation_change() const override { return stack_.rotation_change(); }
  int64_t vocabulary() const override { return stack_.vocabulary(); }
  int64_t context_length() const override { return stack_.context_length(); }

  using ReadsText::hidden_states;
  /// Tokens see those before them alone. There are no marks.
  void hidden_states(const Ragged<int32_t>& tokens, const TokenMarks& marks, MatrixView out,
                     Work& work) override;
  int64_t width() const override { return stack_.width(); }
  int64_t max_tokens() const override { return stack_.context_length(); }

  std::optional<NetworkHeadKind> head_kind() const override { return head_.kind(); }
  int64_t head_outputs() const override { return head_.outputs(); }
  void head(const Ragged<int32_t>& tokens, ConstMatrixView hidden, Matrix& logits, Work& work) override {
    head_(tokens, hidden, logits, work);
  }

 private:
  DecoderStack stack_;
  NetworkHead head_;
};

/// The rotation that a file asks for: <arch>.rope.freq_base, .dimension_count, .scaling.*, rope_freqs.weight,
/// and rope_factors_short|long.weight, of which a call that makes a sequence longer than
/// .scaling.original_context_length takes the second for its tokens; keys that lie in the cache stay as they
/// are.
std::shared_ptr<Rope> rope_of(Weights& weights, const Hyperparameters& hyper, int64_t head_dim,
                              RopePairs pairs, double default_base);

/// What most decoders share: width, layers alike, context length; the rest is for the family to fill in.
DecoderPlan decoder_plan(const Hyperparameters& hyper, const LayerPlan& layer);

/// Biases by distance of ALiBi (Press et al. 2022): slope times distance, slopes a geometric series over the
/// heads.
std::shared_ptr<DistanceBias> alibi(int64_t heads, int64_t reach);

}  // namespace wattle::inline families
