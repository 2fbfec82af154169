#include "models/decoder_base.h"

#include <algorithm>
#include <numeric>

#include <wattle/error.h>

#include "base/operation_times.h"

namespace wattle {
namespace {

constexpr int64_t kSlab = 256;  // tokens run at once: enough for full speed of the products
constexpr int64_t kDefaultContext = 4096;

}  // namespace

DecoderBase::DecoderBase(Weights& weights, const LoadOptions& options) : options_(options) {
  const Hyperparameters hyper(weights.file().metadata());
  layers_ = hyper.layers();
  width_ = hyper.width();
  inner_width_ = hyper.inner_width();
  context_length_ = hyper.context_length();
  shape_ = hyper.attention();
  epsilon_ = static_cast<float>(hyper.positive("attention.layer_norm_rms_epsilon"));
  words_ = TokenEmbedding(weights, "token_embd.weight", width_);
  norm_ = weights.vector("output_norm.weight", width_);
  output_ = Linear(weights, {weights.has("output.weight") ? "output" : "token_embd", vocabulary()}, width_);
}

std::unique_ptr<KeyValueCache> DecoderBase::new_cache(int64_t capacity) const {
  if (capacity == 0) capacity = options_.context;
  if (capacity == 0) capacity = std::min(context_length_, kDefaultContext);
  if (capacity < 1 || capacity > context_length_) {
    fail("--context {}: this model was trained with {} tokens; ask for 1 to {}", capacity, context_length_,
         context_length_);
  }
  return std::make_unique<KeyValueCache>(
      CacheShape{layers_, shape_.kv_heads, shape_.head_dim, capacity, options_.cache_format});
}

void DecoderBase::check(std::span<const DecoderInput> inputs) const {
  for (const DecoderInput& input : inputs) {
    const auto tokens = static_cast<int64_t>(input.tokens.size());
    if (tokens == 0) fail("a sequence has no tokens; a model continues at least one");
    if (input.cache->length() + tokens > input.cache->capacity()) {
      fail("{} tokens do not fit the context of {}; shorten the text or give a longer --context",
           input.cache->length() + tokens, input.cache->capacity());
    }
  }
}

void DecoderBase::forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
                          Work& work) {
  check(inputs);
  int64_t rows = static_cast<int64_t>(inputs.size());
  if (wanted == LogitsWanted::kAll) {
    rows =
        std::accumulate(inputs.begin(), inputs.end(), int64_t{0}, [](int64_t sum, const DecoderInput& input) {
          return sum + static_cast<int64_t>(input.tokens.size());
        });
  }
  logits.resize(rows, vocabulary());
  int64_t written = 0;
  std::vector<int64_t> last_rows;
  const auto flush = [&] {
    run_slab(work);
    if (wanted == LogitsWanted::kLast) {
      for (size_t i = 0; i < last_rows.size(); ++i) {
        std::ranges::copy(hidden_.row(last_rows[i]), hidden_.row(static_cast<int64_t>(i)).begin());
      }
    }
    const int64_t count =
        wanted == LogitsWanted::kAll ? hidden_.rows() : static_cast<int64_t>(last_rows.size());
    if (count > 0)
      write_logits(hidden_.view().rows_from(0, count), logits.view().rows_from(written, count), work);
    written += count;
    batch_.clear();
    last_rows.clear();
  };
  batch_.clear();
  for (const DecoderInput& input : inputs) {
    std::span<const TokenId> rest = input.tokens;
    int64_t position = input.cache->length();
    while (!rest.empty()) {
      const auto first = static_cast<int64_t>(batch_.tokens.size());
      const int64_t count = std::min<int64_t>(kSlab - first, static_cast<int64_t>(rest.size()));
      batch_.tokens.insert(batch_.tokens.end(), rest.begin(), rest.begin() + count);
      for (int64_t i = 0; i < count; ++i) batch_.positions.push_back(position + i);
      batch_.sequences.push_back({input.cache, first, count, position});
      rest = rest.subspan(static_cast<size_t>(count));
      position += count;
      if (rest.empty()) last_rows.push_back(first + count - 1);
      if (first + count == kSlab) flush();
    }
  }
  if (!batch_.tokens.empty()) flush();
}

void DecoderBase::run_slab(Work& work) {
  const auto tokens = static_cast<int64_t>(batch_.tokens.size());
  hidden_.resize(tokens, width_);
  words_(batch_.tokens, embedding_scale_, hidden_.view(), work);
  run_layers(batch_, hidden_.view(), work);
  for (const CachedSequence& sequence : batch_.sequences) sequence.cache->advance(sequence.count);
  work.tokens_in += tokens;
}

void DecoderBase::write_logits(ConstMatrixView hidden, MatrixView logits, Work& work) {
  const TimedOperation timed(Operation::kLogits);
  output_(normalised(hidden, norm_, work), logits, work);
  work.weight_bytes += output_.weight_bytes();
}

LayerInput& DecoderBase::normalised(ConstMatrixView x, std::span<const float> norm, Work& work) const {
  thread_local Matrix normed;
  thread_local LayerInput input;
  normed.resize(x.rows, x.columns);
  rms_norm(x, norm, epsilon_, normed.view(), work);
  input.set(normed.view());
  return input;
}

Rope rope_of(Weights& weights, const Hyperparameters& hyper, int64_t head_dim, RopePairs pairs,
             double default_base) {
  const Metadata& metadata = weights.file().metadata();
  const std::string prefix = weights.file().architecture() + ".rope.";
  const int64_t dimensions = hyper.count_or("rope.dimension_count", head_dim, 2, head_dim);
  if (dimensions % 2 != 0) {
    fail("{}: {}dimension_count is {}, an odd number; the file is damaged, get it again", metadata.origin(),
         prefix, dimensions);
  }
  const std::string scaling = metadata.text(prefix + "scaling.type").value_or("none");
  if (scaling != "none" && scaling != "linear" && !scaling.empty()) {
    fail("{}: rope scaling of type {} is not known here; use a model with linear scaling or none",
         metadata.origin(), scaling);
  }
  std::vector<float> factors;
  if (weights.has("rope_freqs.weight")) factors = weights.vector("rope_freqs.weight", dimensions / 2);
  const double scale = scaling == "linear" ? 1 / hyper.positive_or("rope.scaling.factor", 1) : 1;
  return Rope(dimensions, hyper.positive_or("rope.freq_base", default_base), pairs, std::move(factors),
              scale);
}

}  // namespace wattle
