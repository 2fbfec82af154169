#include <cmath>

#include <fmt/format.h>

#include "models/decoder_base.h"
#include "models/families.h"

namespace wattle {
namespace {

constexpr int64_t kPattern = 6;       // five layers with a sliding window, then one that sees everything
constexpr double kLocalBase = 10000;  // rope base of the layers with a window
constexpr int64_t kLayersOf27B = 62;  // Gemma 3 27B alone scales its queries by width / heads

/// Gemma 3 (Gemma Team 2025): scaled embeddings, norms before and after attention and feed-forward,
/// normalised queries and keys, a sliding window in five of six layers, two rope bases, a tanh-GELU gate. The
/// files' norm weights already include the 1 that the report adds.
class Gemma3 : public DecoderBase {
 public:
  Gemma3(Weights& weights, const LoadOptions& options)
      : DecoderBase(weights, options),
        global_rope_(rope_of(weights, Hyperparameters(weights.file().metadata()), shape_.head_dim,
                             RopePairs::kHalves, 1000000)),
        local_rope_(shape_.head_dim, kLocalBase, RopePairs::kHalves) {
    const Hyperparameters hyper(weights.file().metadata());
    embedding_scale_ = std::sqrt(static_cast<float>(width_));
    if (layers_ == kLayersOf27B) shape_.scale = 1 / std::sqrt(static_cast<float>(width_ / shape_.heads));
    const int64_t window = hyper.count("attention.sliding_window", 1, 1 << 24);
    for (int64_t layer = 0; layer < layers_; ++layer) {
      blocks_.emplace_back(weights, fmt::format("blk.{}", layer), *this, is_local(layer) ? window : 0);
    }
  }

 protected:
  void run_layers(DecoderBatch& batch, MatrixView hidden, Work& work) override {
    added_.resize(hidden.rows, width_);
    global_rope_.set_positions(batch.positions);
    local_rope_.set_positions(batch.positions);
    for (int64_t layer = 0; layer < layers_; ++layer) {
      const Block& block = blocks_[layer];
      const Rope& rope = is_local(layer) ? local_rope_ : global_rope_;
      run_layer(block.attention, block.attention_norm, rope, layer, batch, hidden, work,
                [&](IndexRange rows, MatrixView x, Work& mine) {
                  const MatrixView added = added_.view().rows_from(rows.begin, rows.count());
                  block.attention.output(rows, batch, added, {}, mine);
                  add_rms_norm(added, block.post_attention_norm, epsilon_, x, mine);
                  block.feed_forward(normalised(x, block.feed_forward_norm, mine), added, {}, mine);
                  add_rms_norm(added, block.post_feed_forward_norm, epsilon_, x, mine);
                });
      work.weight_bytes += block.feed_forward.weight_bytes();
    }
  }

 private:
  struct Block {
    std::vector<float> attention_norm, post_attention_norm, feed_forward_norm, post_feed_forward_norm;
    SelfAttention attention;
    GatedFeedForward feed_forward;

    Block(Weights& weights, const std::string& prefix, const Gemma3& model, int64_t window)
        : attention_norm(weights.vector(prefix + ".attn_norm.weight", model.width_)),
          post_attention_norm(weights.vector(prefix + ".post_attention_norm.weight", model.width_)),
          feed_forward_norm(weights.vector(prefix + ".ffn_norm.weight", model.width_)),
          post_feed_forward_norm(weights.vector(prefix + ".post_ffw_norm.weight", model.width_)),
          attention(weights, prefix, model.width_, model.shape_, window),
          feed_forward(weights, prefix, model.width_, model.inner_width_, ActivationFunction::kGeluTanh) {
      attention.normalise_queries_and_keys(weights, prefix, model.epsilon_);
    }
  };

  static bool is_local(int64_t layer) { return layer % kPattern != kPattern - 1; }

  Rope global_rope_, local_rope_;
  std::vector<Block> blocks_;
  Matrix added_;
};

}  // namespace

std::unique_ptr<Decoder> make_gemma3(Weights& weights, const LoadOptions& options) {
  return std::make_unique<Gemma3>(weights, options);
}

}  // namespace wattle
