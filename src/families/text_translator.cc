#include "families/text_translator.h"

#include <wattle/error.h>

namespace wattle {

std::unique_ptr<KeyValueCache> TextTranslator::new_cache(int64_t) const {
  fail("this model continues a text only under a source; give the source that it is to read");
}

void TextTranslator::forward(std::span<const DecoderInput> inputs, LogitsWanted wanted, Matrix& logits, Work& work) {
  for (const DecoderInput& input : inputs) {
    if (input.cache->memory() == nullptr) fail("a cache without a source; make it by reading one");
  }
  decoder_.forward(inputs, wanted, logits, work);
}

std::vector<std::unique_ptr<KeyValueCache>> TextTranslator::begin(const Ragged<int32_t>& sources, int64_t capacity,
                                                                  Work& work) {
  hidden_.resize(static_cast<int64_t>(sources.items.size()), width());
  encoder_.run(sources, {}, hidden_.view(), work);
  std::vector<std::unique_ptr<KeyValueCache>> caches;
  for (int64_t i = 0; i < sources.sequences(); ++i) {
    auto cache = decoder_.new_cache(capacity);
    cache->set_memory(decoder_.remember(
        hidden_.view().rows_from(sources.offsets[static_cast<size_t>(i)], sources.length(i)), work));
    caches.push_back(std::move(cache));
  }
  return caches;
}

}  // namespace wattle
