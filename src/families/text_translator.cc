#include "families/text_translator.h"

#include <wattle/error.h>

namespace wattle::inline families {

TextTranslator::TextTranslator(Weights& weights, EncoderPlan encoder, DecoderPlan decoder, int32_t start,
                               const NetworkOptions& options)
    : encoder_(weights, std::move(encoder)),
      decoder_(weights, std::move(decoder), options),
      start_(start),
      head_(weights, decoder_.width(), {.pooling = NetworkHead::Pooling::kEnd}) {}

void TextTranslator::head(const Ragged<int32_t>& tokens, ConstMatrixView hidden, Matrix& logits, Work& work) {
  Ragged<int32_t> moved;
  for (int64_t i = 0; i < tokens.sequences(); ++i) {
    const auto ids = tokens.sequence(i);
    std::vector<int32_t> sequence{start_};
    sequence.insert(sequence.end(), ids.begin(), ids.end() - 1);
    moved.append(sequence);
  }
  check_lengths(moved, decoder_.context_length());
  Matrix decoded(hidden.rows, decoder_.width());
  decoder_.hidden_states(moved, decoded.view(), work, hidden);
  head_(tokens, decoded.view(), logits, work);
}

std::unique_ptr<KeyValueCache> TextTranslator::new_cache(int64_t) const {
  fail("this model continues a text only under a source; give the source that it is to read");
}

void TextTranslator::forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits,
                             Work& work) {
  for (const DecoderInput& input : inputs) {
    if (input.cache->memory() == nullptr) fail("a cache without a source; make it by reading one");
  }
  decoder_.forward(inputs, wanted, logits, work);
}

std::vector<std::unique_ptr<KeyValueCache>> TextTranslator::begin(const Ragged<int32_t>& sources,
                                                                  const TokenMarks& marks, int64_t capacity,
                                                                  Work& work) {
  hidden_.resize(static_cast<int64_t>(sources.items.size()), width());
  encoder_.run(sources, marks, hidden_.view(), work);
  std::vector<std::unique_ptr<KeyValueCache>> caches;
  for (int64_t i = 0; i < sources.sequences(); ++i) {
    auto cache = decoder_.new_cache(capacity);
    cache->set_memory(decoder_.remember(
        hidden_.view().rows_from(sources.offsets[static_cast<size_t>(i)], sources.length(i)), work));
    caches.push_back(std::move(cache));
  }
  return caches;
}

}  // namespace wattle::inline families
