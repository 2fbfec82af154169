#include <algorithm>
#include <cmath>
#include <cstring>

#include "families/family.h"
#include "layers/embedding.h"

namespace wattle::inline families {
namespace {

/// Tokens of a text that model2vec reads where a file states no number.
constexpr int64_t kStatedByNobody = 512;
/// A mean has no longest text.
constexpr int64_t kNoLimit = int64_t{1} << 30;

/// Vectors quantised to int8 by their largest magnitude, and weights in double precision -> F32.
Change to_floats() {
  return [](Tensor& tensor, std::vector<std::byte>& owned) {
    std::vector<float> values(static_cast<size_t>(tensor.elements()));
    decode_weights(tensor.format, tensor.bytes, values);
    owned.resize(values.size() * sizeof(float));
    std::memcpy(owned.data(), values.data(), owned.size());
    tensor.format = Format::kF32;
  };
}

/// The same where the format is not one that tables have.
Change to_floats_if_integers() {
  return [change = to_floats()](Tensor& tensor, std::vector<std::byte>& owned) {
    if (tensor.format == Format::kI8 || tensor.format == Format::kF64) return change(tensor, owned);
    owned.assign(tensor.bytes.begin(), tensor.bytes.end());
  };
}

void read_config(ConfigReader& config) {
  config.integer("hidden_dim", "embedding_length");
  if (!config.json().has_null("max_length")) config.integer("max_length", "context_length", kStatedByNobody);
  config.set("pooling_type", Value::of(int64_t{1}));
  config.set_global("wattle.normalize_embeddings", Value::of(config.flag_of("normalize", false)));
  config.ignore({"apply_pca", "apply_zipf", "sif_coefficient", "seq_length", "tokenizer_name", "pooling",
                 "embedding_dtype", "vocabulary_quantization"});
}

void describe(const Hyperparameters& hyper, Description& d) {
  d.tensor({.name = "token_embd.weight",
            .source = "embeddings",
            .shape = {kAnySize, hyper.width()},
            .role = Role::kEmbedding,
            .change = to_floats_if_integers()});
  d.alias("token_embd.weight", "embedding.weight");
  // Tokens that share a vector ("vocabulary quantization"): the row of each, and the factor of each.
  d.tensor({.name = "token_scale.weight",
            .source = "weights",
            .shape = {kAnySize},
            .role = Role::kNorm,
            .change = to_floats(),
            .optional = true});
  d.tensor({.name = "token_row.weight",
            .source = "mapping",
            .shape = {kAnySize},
            .role = Role::kTable,
            .optional = true});
}

/// One vector a token (model2vec, Tulkens and van Dongen 2024): a text is the mean of its tokens' vectors,
/// each times the token's factor where the file has factors. Nothing is computed but that sum, so rows are
/// read from the mapped file as they lie.
class StaticEmbedding final : public Network, public ReadsText, public AveragesTokens {
 public:
  StaticEmbedding(Weights& weights, const Hyperparameters& hyper)
      : width_(hyper.width()),
        max_tokens_(hyper.count_or("context_length", kNoLimit, 1, kNoLimit)),
        words_(weights, "token_embd.weight", width_) {
    const ModelFile& file = weights.file();
    if (const Tensor* scale = file.find("token_scale.weight"))
      scale_ = weights.vector(scale->name, scale->elements());
    if (const Tensor* rows = file.find("token_row.weight")) rows_ = read_rows(weights, *rows);
    tokens_ = rows_.empty() ? words_.tokens() : static_cast<int64_t>(rows_.size());
    if (!scale_.empty() && static_cast<int64_t>(scale_.size()) != tokens_) {
      fail("{}: {} tokens and {} factors (token_scale); get the model again", file.path().string(), tokens_,
           scale_.size());
    }
  }

  int64_t width() const override { return width_; }
  int64_t max_tokens() const override { return max_tokens_; }

  using ReadsText::hidden_states;
  /// A token's vector, whatever is around it.
  void hidden_states(const Ragged<int32_t>& tokens, const TokenMarks&, MatrixView out, Work& work) override {
    check_lengths(tokens, max_tokens_);
    for (size_t i = 0; i < tokens.items.size(); ++i) {
      const auto row = out.row(static_cast<int64_t>(i));
      std::ranges::fill(row, 0.0f);
      add(tokens.items[i], row);
    }
    count(tokens, work);
    work.tokens_in += static_cast<int64_t>(tokens.items.size());
  }

  void means(const Ragged<int32_t>& tokens, MatrixView out, Work& work) override {
    for (int64_t i = 0; i < tokens.sequences(); ++i) {
      const auto sum = out.row(i);
      std::ranges::fill(sum, 0.0f);
      for (const int32_t id : tokens.sequence(i)) add(id, sum);
      const float share = 1 / static_cast<float>(std::max<int64_t>(1, tokens.length(i)));
      for (float& value : sum) value *= share;
    }
    count(tokens, work);
  }

 private:
  std::vector<int32_t> read_rows(Weights& weights, const Tensor& tensor) const {
    std::vector<int32_t> rows;
    for (const float row : weights.vector(tensor.name, tensor.elements())) {
      if (!(row >= 0 && row < static_cast<float>(words_.tokens()))) {
        fail("{}: a token has the row {} and there are {} (token_row); get the model again",
             weights.file().path().string(), row, words_.tokens());
      }
      rows.push_back(static_cast<int32_t>(row));
    }
    return rows;
  }

  void add(int32_t id, std::span<float> sum) const {
    if (id < 0 || id >= tokens_)
      fail("token {}: the model's vocabulary has {}; the tokenizer belongs to another model", id, tokens_);
    const auto index = static_cast<size_t>(id);
    words_.add_row(rows_.empty() ? id : rows_[index], scale_.empty() ? 1.0f : scale_[index], sum);
  }

  void count(const Ragged<int32_t>& tokens, Work& work) const {
    const auto read = static_cast<double>(tokens.items.size());
    work.weight_bytes += read * static_cast<double>(words_.row_bytes());
    work.macs_fp32 += read * static_cast<double>(width_);
  }

  int64_t width_, max_tokens_, tokens_ = 0;
  TokenEmbedding words_;
  std::vector<float> scale_;   ///< of each token; empty: 1
  std::vector<int32_t> rows_;  ///< of the table, of each token; empty: its id
};

std::unique_ptr<Network> build(Weights& weights, const Hyperparameters& hyper, const NetworkOptions&) {
  return std::make_unique<StaticEmbedding>(weights, hyper);
}

constexpr std::string_view kTypes[] = {"model2vec"};

}  // namespace

const Family& static_embedding_family() {
  static constexpr Family kFamily{"static-embedding", kTypes, read_config, describe, build};
  return kFamily;
}

}  // namespace wattle::inline families
