#include <fmt/format.h>

#include "models/decoder_base.h"
#include "models/families.h"

namespace wattle {
namespace {

/// Llama (Touvron et al. 2023) and Qwen2 (Yang et al. 2024): pre-norm layers with RMSNorm, rotary positions,
/// grouped heads and a SiLU gate. They differ in the pairs that rope rotates and in Qwen2's biases of q, k
/// and v, which a linear layer finds in the file.
class Llama : public DecoderBase {
 public:
  Llama(Weights& weights, const LoadOptions& options, RopePairs pairs)
      : DecoderBase(weights, options),
        rope_(rope_of(weights, Hyperparameters(weights.file().metadata()), shape_.head_dim, pairs, 10000)) {
    for (int64_t layer = 0; layer < layers_; ++layer)
      blocks_.emplace_back(weights, fmt::format("blk.{}", layer), *this);
  }

 protected:
  void run_layers(DecoderBatch& batch, MatrixView hidden, Work& work) override {
    rope_.set_positions(batch.positions);
    for (int64_t layer = 0; layer < layers_; ++layer) {
      const Block& block = blocks_[layer];
      run_layer(block.attention, block.attention_norm, rope_, layer, batch, hidden, work,
                [&](IndexRange rows, MatrixView x, Work& mine) {
                  block.attention.output(rows, batch, x, x, mine);
                  block.feed_forward(normalised(x, block.feed_forward_norm, mine), x, x, mine);
                });
      work.weight_bytes += block.feed_forward.weight_bytes();
    }
  }

 private:
  struct Block {
    std::vector<float> attention_norm, feed_forward_norm;
    SelfAttention attention;
    GatedFeedForward feed_forward;

    Block(Weights& weights, const std::string& prefix, const Llama& model)
        : attention_norm(weights.vector(prefix + ".attn_norm.weight", model.width_)),
          feed_forward_norm(weights.vector(prefix + ".ffn_norm.weight", model.width_)),
          attention(weights, prefix, model.width_, model.shape_, 0),
          feed_forward(weights, prefix, model.width_, model.inner_width_, ActivationFunction::kSilu) {}
  };

  Rope rope_;
  std::vector<Block> blocks_;
};

}  // namespace

std::unique_ptr<Decoder> make_llama(Weights& weights, const LoadOptions& options) {
  return std::make_unique<Llama>(weights, options, RopePairs::kNeighbours);
}

std::unique_ptr<Decoder> make_qwen2(Weights& weights, const LoadOptions& options) {
  return std::make_unique<Llama>(weights, options, RopePairs::kHalves);
}

}  // namespace wattle
