#include <wattle/error.h>

#include "layers/embedding.h"
#include "layers/norm.h"
#include "layers/post_norm_block.h"
#include "models/families.h"
#include "models/hyperparameters.h"

namespace wattle {
namespace {

/// BERT (Devlin et al. 2019): word, position and type embeddings, normalised; post-norm layers. One segment:
/// every token has type 0.
class Bert : public Encoder {
 public:
  explicit Bert(Weights& weights) {
    const Hyperparameters hyper(weights.file().metadata());
    width_ = hyper.width();
    epsilon_ = static_cast<float>(hyper.positive("attention.layer_norm_epsilon"));
    const int64_t layers = hyper.layers(), inner_width = hyper.inner_width();
    const AttentionShape shape = hyper.attention();

    words_ = TokenEmbedding(weights, "token_embd.weight", width_);
    positions_ = weights.values("position_embd.weight", hyper.context_length(), width_);
    const Matrix types =
        weights.values("token_types.weight", weights.file().need("token_types.weight").rows(), width_);
    for (int64_t position = 0; position < positions_.rows(); ++position) {
      for (int64_t i = 0; i < width_; ++i) positions_.row(position)[i] += types.row(0)[i];
    }
    norm_ = weights.vector("token_embd_norm.weight", width_);
    norm_bias_ = weights.vector("token_embd_norm.bias", width_);
    for (int64_t layer = 0; layer < layers; ++layer) {
      blocks_.emplace_back(weights, fmt::format("blk.{}", layer), width_, inner_width, shape, epsilon_);
    }
  }

  void hidden_states(const Ragged<TokenId>& tokens, MatrixView out, Work& work) override {
    check_lengths(tokens, max_tokens());
    words_(tokens.items, 1, out, work);
    add_positions(tokens.offsets, positions_, 0, out);
    layer_norm(out, norm_, norm_bias_, epsilon_, out, work);
    run_layers(blocks_, out, tokens.offsets, nullptr, work);
    work.tokens_in += static_cast<int64_t>(tokens.items.size());
  }

  int64_t width() const override { return width_; }
  int64_t max_tokens() const override { return positions_.rows(); }

 private:
  int64_t width_ = 0;
  float epsilon_ = 0;
  TokenEmbedding words_;
  Matrix positions_;  ///< with the embedding of type 0 added
  std::vector<float> norm_, norm_bias_;
  std::vector<PostNormBlock> blocks_;
};

}  // namespace

std::unique_ptr<Encoder> make_bert(Weights& weights, const LoadOptions&) {
  return std::make_unique<Bert>(weights);
}

}  // namespace wattle
