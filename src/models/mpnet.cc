#include <algorithm>
#include <cmath>

#include <wattle/error.h>

#include "layers/embedding.h"
#include "layers/norm.h"
#include "layers/post_norm_block.h"
#include "models/families.h"
#include "models/hyperparameters.h"

namespace wattle {
namespace {

constexpr int64_t kFirstPosition = 2;      // fairseq counts positions from the padding id, 1, plus 1
constexpr int64_t kLargestDistance = 128;  // further apart all share the last bucket

/// T5's bucket of a distance key - query (Raffel et al. 2020): half of the buckets for each direction; of
/// those half exact, half logarithmic up to kLargestDistance.
int64_t distance_bucket(int64_t distance, int64_t buckets) {
  const int64_t half = buckets / 2, exact = half / 2;
  const int64_t side = distance > 0 ? half : 0;
  const int64_t magnitude = std::abs(distance);
  if (magnitude < exact) return side + magnitude;
  const float logarithm = std::log(static_cast<float>(magnitude) / static_cast<float>(exact)) /
                          std::log(static_cast<float>(kLargestDistance) / static_cast<float>(exact));
  return side +
         std::min(half - 1, exact + static_cast<int64_t>(logarithm * static_cast<float>(half - exact)));
}

/// MPNet (Song et al. 2020): BERT's layers, no token types, positions from 2, and one relative attention bias
/// that all layers share.
class MpNet : public Encoder {
 public:
  explicit MpNet(Weights& weights) {
    const Hyperparameters hyper(weights.file().metadata());
    width_ = hyper.width();
    epsilon_ = static_cast<float>(hyper.positive("attention.layer_norm_epsilon"));
    const int64_t layers = hyper.layers(), inner_width = hyper.inner_width();
    const AttentionShape shape = hyper.attention();

    words_ = TokenEmbedding(weights, "token_embd.weight", width_);
    positions_ =
        weights.values("position_embd.weight", weights.file().need("position_embd.weight").rows(), width_);
    if (positions_.rows() <= kFirstPosition) {
      fail("{}: {} positions leave none for tokens; the file is damaged, get it again",
           weights.file().metadata().origin(), positions_.rows());
    }
    norm_ = weights.vector("token_embd_norm.weight", width_);
    norm_bias_ = weights.vector("token_embd_norm.bias", width_);
    load_bias(weights, hyper.count("attention.relative_buckets_count", 4, 4096), shape.heads);
    for (int64_t layer = 0; layer < layers; ++layer) {
      blocks_.emplace_back(weights, fmt::format("blk.{}", layer), width_, inner_width, shape, epsilon_);
    }
  }

  void hidden_states(const Ragged<TokenId>& tokens, MatrixView out, Work& work) override {
    check_lengths(tokens, max_tokens());
    words_(tokens.items, 1, out, work);
    add_positions(tokens.offsets, positions_, kFirstPosition, out);
    layer_norm(out, norm_, norm_bias_, epsilon_, out, work);
    run_layers(blocks_, out, tokens.offsets, &bias_, work);
    work.tokens_in += static_cast<int64_t>(tokens.items.size());
  }

  int64_t width() const override { return width_; }
  int64_t max_tokens() const override { return positions_.rows() - kFirstPosition; }

 private:
  void load_bias(Weights& weights, int64_t buckets, int64_t heads) {
    const Matrix table = weights.values("attn_rel_b.weight", buckets, heads);
    bias_.reach = max_tokens();
    bias_.values.resize(static_cast<size_t>(heads * (2 * bias_.reach - 1)));
    for (int64_t head = 0; head < heads; ++head) {
      for (int64_t distance = 1 - bias_.reach; distance < bias_.reach; ++distance) {
        bias_.values[head * (2 * bias_.reach - 1) + distance + bias_.reach - 1] =
            table.row(distance_bucket(distance, buckets))[head];
      }
    }
  }

  int64_t width_ = 0;
  float epsilon_ = 0;
  TokenEmbedding words_;
  Matrix positions_;
  std::vector<float> norm_, norm_bias_;
  DistanceBias bias_;
  std::vector<PostNormBlock> blocks_;
};

}  // namespace

std::unique_ptr<Encoder> make_mpnet(Weights& weights, const LoadOptions&) {
  return std::make_unique<MpNet>(weights);
}

}  // namespace wattle
