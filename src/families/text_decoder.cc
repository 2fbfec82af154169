#include "families/text_decoder.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <wattle/error.h>

#include "base/operation_times.h"
#include "families/rope_scaling.h"
#include "kernels/elementary.h"
#include "kernels/elementwise.h"

namespace wattle::inline families {
namespace {

constexpr int64_t kSlab = 256;  // tokens run at once: enough for full speed of the products
constexpr int64_t kDefaultContext = 4096;

}  // namespace

DecoderStack::DecoderStack(Weights& weights, DecoderPlan plan, const NetworkOptions& options)
    : plan_(std::move(plan)), options_(options), embedding_(weights, plan_.prefix, plan_.embedding) {
  const int64_t width = plan_.embedding.width;
  layers_.reserve(plan_.layers.size());
  for (size_t i = 0; i < plan_.layers.size(); ++i)
    layers_.emplace_back(weights, fmt::format("{}blk.{}", plan_.prefix, i), plan_.layers[i]);
  for (const Layer& layer : layers_) order_.push_back(&layer);
  norm_ = plan_.plain_norm ? Norm::plain(width, plan_.embedding.norm, plan_.embedding.epsilon)
                           : Norm::where_there(weights, plan_.prefix + "output_norm", width,
                                               plan_.embedding.norm, plan_.embedding.epsilon);
  const std::string projection = plan_.prefix + "output_proj";
  if (weights.has(projection + ".weight"))
    projection_ = Linear(weights, {projection, weights.file().need(projection + ".weight").rows()}, width);
  const std::string own_words = plan_.prefix + "token_embd";
  const std::string words = weights.has(own_words + ".weight") ? own_words : "token_embd";
  const std::string output = weights.has("output.weight") ? "output" : words;
  output_ = Linear(weights, {output, weights.file().need(output + ".weight").rows(), "output"},
                   projection_.outputs() > 0 ? projection_.outputs() : width);
  plan_.context_length = std::min(plan_.context_length, embedding_.most_tokens());
  // Each product's threads ask for the beginning of the next while they wait, the last ones for the next
  // token's.
  const Linear& after_layers = projection_.outputs() > 0 ? projection_ : output_;
  for (size_t i = 0; i < layers_.size(); ++i)
    layers_[i].set_next(i + 1 < layers_.size() ? layers_[i + 1].read_ahead() : after_layers.read_ahead());
  projection_.set_next(output_.read_ahead());
  if (!layers_.empty()) output_.set_next(layers_.front().read_ahead());
}

std::unique_ptr<KeyValueCache> DecoderStack::cache_for(int64_t capacity) const {
  const AttentionShape& shape = plan_.layers.front().attention;
  return std::make_unique<KeyValueCache>(CacheShape{static_cast<int64_t>(layers_.size()), shape.kv_heads,
                                                    shape.head_dim, capacity, options_.cache_format});
}

std::unique_ptr<KeyValueCache> DecoderStack::new_cache(int64_t capacity) const {
  if (capacity == 0) capacity = options_.context;
  if (capacity == 0) capacity = std::min(context_length(), kDefaultContext);
  if (capacity < 1 || capacity > context_length()) {
    fail("a context of {}: this model was trained with {} tokens; ask for 1 to {}", capacity,
         context_length(), context_length());
  }
  return cache_for(capacity);
}

std::shared_ptr<const KeyValueCache> DecoderStack::remember(ConstMatrixView hidden, Work& work) const {
  std::shared_ptr<KeyValueCache> memory = cache_for(hidden.rows);
  for (size_t layer = 0; layer < layers_.size(); ++layer)
    layers_[layer].remember(hidden, *memory, static_cast<int64_t>(layer), work);
  memory->advance(hidden.rows);
  return memory;
}

int64_t DecoderStack::rotation_change() const {
  int64_t change = 0;
  for (const auto& rope : plan_.ropes) change = std::max(change, rope->longest());
  return change;
}

void DecoderStack::check(std::span<const DecoderInput> inputs) const {
  for (const DecoderInput& input : inputs) {
    const auto tokens = static_cast<int64_t>(input.tokens.size());
    if (tokens == 0) fail("a sequence has no tokens; a model continues at least one");
    if (input.cache->length() + tokens > input.cache->capacity()) {
      fail("{} tokens do not fit the context of {}; shorten the text or ask for a longer context",
           input.cache->length() + tokens, input.cache->capacity());
    }
    const int64_t held = input.cache->length(), change = rotation_change();
    if (held > 0 && held <= change && held + tokens > change) {
      fail(
          "a text of {} tokens goes on to {}, and this model rotates texts of more than {} otherwise; read "
          "it "
          "from its beginning",
          held, held + tokens, change);
    }
  }
}

template <class Finished>
void DecoderStack::run_slabs(std::span<const DecoderInput> inputs, Work& work, const Finished& finished) {
  check(inputs);
  std::vector<int64_t> last_rows;
  const auto flush = [&] {
    run_slab(work);
    finished(last_rows);
    batch_.clear();
    last_rows.clear();
  };
  batch_.clear();
  for (const DecoderInput& input : inputs) {
    std::span<const int32_t> rest = input.tokens;
    int64_t position = input.cache->length();
    const int64_t length = position + static_cast<int64_t>(rest.size());
    while (!rest.empty()) {
      const auto first = static_cast<int64_t>(batch_.tokens.size());
      const int64_t count = std::min<int64_t>(kSlab - first, static_cast<int64_t>(rest.size()));
      batch_.tokens.insert(batch_.tokens.end(), rest.begin(), rest.begin() + count);
      for (int64_t i = 0; i < count; ++i) batch_.positions.push_back(position + i);
      batch_.lengths.resize(batch_.positions.size(), length);
      batch_.sequences.push_back({input.cache, first, count, position});
      rest = rest.subspan(static_cast<size_t>(count));
      position += count;
      if (rest.empty()) last_rows.push_back(first + count - 1);
      if (first + count == kSlab) flush();
    }
  }
  if (!batch_.tokens.empty()) flush();
}

void DecoderStack::forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
                           Work& work) {
  int64_t rows = static_cast<int64_t>(inputs.size());
  if (wanted == LogitsWanted::kAll) {
    rows =
        std::accumulate(inputs.begin(), inputs.end(), int64_t{0}, [](int64_t sum, const DecoderInput& input) {
          return sum + static_cast<int64_t>(input.tokens.size());
        });
  }
  logits.resize(rows, vocabulary());
  int64_t written = 0;
  run_slabs(inputs, work, [&](const std::vector<int64_t>& last_rows) {
    int64_t count = hidden_.rows();
    if (wanted == LogitsWanted::kLast) {
      count = static_cast<int64_t>(last_rows.size());
      for (int64_t i = 0; i < count; ++i)
        std::ranges::copy(hidden_.row(last_rows[static_cast<size_t>(i)]), hidden_.row(i).begin());
    }
    if (count == 0) return;
    write_logits(hidden_.view().rows_from(0, count), logits.view().rows_from(written, count), work);
    written += count;
  });
}

void DecoderStack::hidden_states(const Ragged<int32_t>& tokens, MatrixView out, Work& work,
                                 ConstMatrixView encoded) {
  std::vector<std::unique_ptr<KeyValueCache>> caches;
  std::vector<DecoderInput> inputs;
  for (int64_t i = 0; i < tokens.sequences(); ++i) {
    caches.push_back(cache_for(tokens.length(i)));
    if (encoded.data != nullptr)
      caches.back()->set_memory(
          remember(encoded.rows_from(tokens.offsets[static_cast<size_t>(i)], tokens.length(i)), work));
    inputs.push_back({caches.back().get(), tokens.sequence(i)});
  }
  int64_t written = 0;
  run_slabs(inputs, work, [&](const std::vector<int64_t>&) {
    const MatrixView rows = out.rows_from(written, hidden_.rows());
    if (norm_) {
      norm_(hidden_.view(), rows, work);
    } else {
      for (int64_t i = 0; i < rows.rows; ++i) std::ranges::copy(hidden_.row(i), rows.row(i).begin());
    }
    written += rows.rows;
  });
}

TextDecoder::TextDecoder(Weights& weights, DecoderPlan plan, const NetworkOptions& options)
    : stack_(weights, std::move(plan), options),
      head_(weights, stack_.width(), {.pooling = NetworkHead::Pooling::kLast}) {}

void TextDecoder::hidden_states(const Ragged<int32_t>& tokens, const TokenMarks& marks, MatrixView out,
                                Work& work) {
  if (!marks.types.empty()) fail("token types were given and this model has none; leave them out");
  if (!marks.global.empty())
    fail("global tokens were given and this model has no attention for them; leave them out");
  check_lengths(tokens, max_tokens());
  stack_.hidden_states(tokens, out, work);
}

const std::vector<int64_t>& DecoderStack::counted_positions() {
  counted_.clear();
  for (const CachedSequence& sequence : batch_.sequences) {
    int64_t next = sequence.position;
    for (int64_t i = 0; i < sequence.count; ++i) {
      const bool padding = batch_.tokens[static_cast<size_t>(sequence.first + i)] == plan_.embedding.padding;
      counted_.push_back(padding ? -1 : next++);
    }
  }
  return counted_;
}

void DecoderStack::run_slab(Work& work) {
  const auto tokens = static_cast<int64_t>(batch_.tokens.size());
  hidden_.resize(tokens, plan_.embedding.width);
  embedding_(batch_.tokens, plan_.embedding.padding < 0 ? batch_.positions : counted_positions(), {},
             hidden_.view(), work);
  for (const auto& rope : plan_.ropes) rope->set_positions(batch_.positions, batch_.lengths);
  run_layers(order_, hidden_.view(), batch_, work);
  for (const CachedSequence& sequence : batch_.sequences) sequence.cache->advance(sequence.count);
  work.tokens_in += tokens;
}

void DecoderStack::write_logits(ConstMatrixView hidden, MatrixView logits, Work& work) {
  const TimedOperation timed(Operation::kLogits);
  thread_local LayerInput input;
  if (norm_) {
    normed_.resize(hidden.rows, hidden.columns);
    norm_(hidden, normed_.view(), work);
    hidden = normed_.view();
  }
  if (projection_.outputs() > 0) {
    projected_.resize(hidden.rows, projection_.outputs());
    input.set(hidden);
    projection_(input, projected_.view(), work);
    work.weight_bytes += projection_.weight_bytes();
    hidden = projected_.view();
  }
  input.set(hidden);
  output_(input, logits, work);
  work.weight_bytes += output_.weight_bytes();
  if (plan_.logit_scale == 1 && plan_.logit_softcap == 0) return;
  const float scale = plan_.logit_scale, cap = plan_.logit_softcap;
  for (int64_t row = 0; row < logits.rows; ++row) {
    for (float& value : logits.row(row)) value = cap > 0 ? value * scale / cap : value * scale;
    if (cap == 0) continue;
    apply_inplace(ActivationFunction::kTanh, logits.row(row));
    for (float& value : logits.row(row)) value *= cap;
  }
}

DecoderPlan decoder_plan(const Hyperparameters& hyper, const LayerPlan& layer) {
  DecoderPlan plan;
  plan.embedding = {.width = layer.width, .norm = layer.norm, .epsilon = layer.epsilon};
  plan.layers.assign(static_cast<size_t>(hyper.layers()), layer);
  plan.context_length = hyper.context_length();
  return plan;
}

std::shared_ptr<Rope> rope_of(Weights& weights, const Hyperparameters& hyper, int64_t head_dim,
                              RopePairs pairs, double default_base) {
  const int64_t dimensions = hyper.count_or("rope.dimension_count", head_dim, 2, head_dim);
  if (dimensions % 2 != 0) {
    fail("{}: rope.dimension_count is {}, an odd number; the file is damaged, get it again", hyper.origin(),
         dimensions);
  }
  const double base = hyper.positive_or("rope.freq_base", default_base);
  RopeScaling scaling = rope_scaling(hyper, dimensions, base);
  const bool is_long = weights.has("rope_factors_long.weight");
  for (const char* factors : {"rope_freqs.weight", "rope_factors_short.weight"}) {
    if (weights.has(factors)) scaling.factors = weights.vector(factors, dimensions / 2);
  }
  auto rope = std::make_shared<Rope>(dimensions, base, pairs, std::move(scaling.factors),
                                     scaling.position_scale, scaling.magnitude);
  if (is_long) {
    rope->set_long_factors(hyper.count("rope.scaling.original_context_length", 1, int64_t{1} << 31),
                           weights.vector("rope_factors_long.weight", dimensions / 2));
  }
  return rope;
}

std::shared_ptr<DistanceBias> alibi(int64_t heads, int64_t reach) {
  auto bias = std::make_shared<DistanceBias>();
  bias->reach = reach;
  int64_t power = 1;  // the largest power of two not above the heads
  while (power * 2 <= heads) power *= 2;
  for (int64_t head = 0; head < heads; ++head) {
    const double exponent =
        head < power ? 8.0 * static_cast<double>(head + 1) / static_cast<double>(power)
                     : 4.0 * static_cast<double>(2 * (head - power) + 1) / static_cast<double>(power);
    const double slope = wattle::power(2.0, -exponent);
    for (int64_t distance = 1 - reach; distance < reach; ++distance)
      bias->values.push_back(static_cast<float>(slope * static_cast<double>(distance)));
  }
  return bias;
}

}  // namespace wattle::inline families
