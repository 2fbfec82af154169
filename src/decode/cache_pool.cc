#include "decode/cache_pool.h"

#include <algorithm>
#include <utility>

namespace wattle::inline decode {

int64_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

std::unique_ptr<KeyValueCache> CachePool::take(size_t index, int64_t length) {
  std::unique_ptr<KeyValueCache> cache = std::move(idle_[index].cache);
  idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(index));
  cache->truncate(length);
  return cache;
}

std::unique_ptr<KeyValueCache> CachePool::take(std::span<const TokenId> prompt) {
  const int64_t change = decoder_.rotation_change();
  if (change > 0 && static_cast<int64_t>(prompt.size()) > change) return take_empty();
  size_t best = 0;
  int64_t longest = 0;
  for (size_t i = 0; i < idle_.size(); ++i) {
    const int64_t shared = common_prefix(idle_[i].tokens, prompt);
    if (shared > longest) longest = shared, best = i;
  }
  if (idle_.empty()) return take_empty();
  return take(best, std::min(longest, static_cast<int64_t>(prompt.size()) - 1));
}

std::unique_ptr<KeyValueCache> CachePool::take_empty() {
  return idle_.empty() ? decoder_.new_cache(capacity_) : take(0, 0);
}

void CachePool::give(std::unique_ptr<KeyValueCache> cache, std::vector<TokenId> tokens) {
  tokens.resize(static_cast<size_t>(cache->length()));
  idle_.push_back({std::move(cache), std::move(tokens)});
}

}  // namespace wattle::inline decode
