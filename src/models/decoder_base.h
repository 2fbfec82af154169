#pragma once

#include <memory>
#include <span>
#include <vector>

#include "layers/embedding.h"
#include "layers/feed_forward.h"
#include "layers/linear.h"
#include "layers/norm.h"
#include "layers/rope.h"
#include "layers/self_attention.h"
#include "layers/team.h"
#include "models/hyperparameters.h"
#include "models/model.h"

namespace wattle {

/// What every decoder does around its layers: embeds tokens, runs ragged batches in slabs (so that a long
/// prompt needs no more memory than a short one), normalises and multiplies by the output matrix where logits
/// are wanted.
class DecoderBase : public Decoder {
 public:
  std::unique_ptr<KeyValueCache> new_cache(int64_t capacity) const override;
  void forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
               Work& work) override;
  int64_t vocabulary() const override { return words_.tokens(); }
  int64_t context_length() const override { return context_length_; }

 protected:
  /// Reads what the families share: token_embd, output_norm, output (or token_embd again where the file has
  /// none).
  DecoderBase(Weights& weights, const LoadOptions& options);

  /// Runs all layers: hidden [tokens, width] is replaced.
  virtual void run_layers(DecoderBatch& batch, MatrixView hidden, Work& work) = 0;
  /// One layer in steps (layers/team.h): attention to the normalised hidden state, then `finish(rows, x,
  /// work)` for each part, the tokens `rows` of the batch, whose hidden state x [rows, width] is replaced.
  template <class Finish>
  void run_layer(const SelfAttention& attention, std::span<const float> norm, const Rope& rope, int64_t layer,
                 DecoderBatch& batch, MatrixView hidden, Work& work, const Finish& finish) const {
    const auto of = [&](Part part) { return part.range(hidden.rows); };
    const auto rows_of = [&](IndexRange rows) { return hidden.rows_from(rows.begin, rows.count()); };
    attention.prepare(batch);
    const double feed_forward_weights = 3.0 * static_cast<double>(width_ * inner_width_);
    const double bytes = attention.weight_bytes() + feed_forward_weights * attention.bytes_a_weight();
    layer_in_steps(
        hidden.rows >= tokens_of_team(bytes) && !attention.is_observed(), work,
        [&](Part part, Work& mine) {
          attention.project(normalised(rows_of(of(part)), norm, mine), of(part), batch, rope, layer, mine);
        },
        [&](Part part, Work& mine) { attention.attend(batch, layer, part, mine); },
        [&](Part part, Work& mine) { finish(of(part), rows_of(of(part)), mine); });
    work.weight_bytes += attention.weight_bytes();
  }
  /// What the calling thread's next products read: RMSNorm of x [tokens, width]. Valid until the next call by
  /// the same thread.
  LayerInput& normalised(ConstMatrixView x, std::span<const float> norm, Work& work) const;

  int64_t layers_, width_, inner_width_, context_length_;
  AttentionShape shape_;
  float epsilon_;
  float embedding_scale_ = 1;

 private:
  void check(std::span<const DecoderInput> inputs) const;
  void run_slab(Work& work);
  void write_logits(ConstMatrixView hidden, MatrixView logits, Work& work);

  LoadOptions options_;
  TokenEmbedding words_;
  std::vector<float> norm_;
  Linear output_;
  // Of the slab that runs.
  DecoderBatch batch_;
  Matrix hidden_;
};

/// The rotation that a file asks for: <arch>.rope.freq_base, .dimension_count, .scaling.type|factor,
/// rope_freqs.weight.
Rope rope_of(Weights& weights, const Hyperparameters& hyper, int64_t head_dim, RopePairs pairs,
             double default_base);

}  // namespace wattle
