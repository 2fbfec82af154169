#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "families/capabilities.h"
#include "text/tokenizer.h"

namespace wattle::inline decode {

/// Key-value caches that wait for their next sequence and keep what the last one computed, so that the part
/// which two prompts share (an instruction, examples, the turns of a conversation) is computed once; the
/// answer is the same as from an empty cache.
class CachePool {
 public:
  /// Caches for `capacity` positions each.
  CachePool(const ContinuesText& decoder, int64_t capacity) : decoder_(decoder), capacity_(capacity) {}

  int64_t capacity() const { return capacity_; }
  /// A cache that holds a beginning of the prompt, its length() tokens; never the last token, whose logits
  /// are what a prompt is run for.
  std::unique_ptr<KeyValueCache> take(std::span<const TokenId> prompt);
  /// An empty one.
  std::unique_ptr<KeyValueCache> take_empty();
  /// Takes a cache back that holds exactly `tokens`.
  void give(std::unique_ptr<KeyValueCache> cache, std::vector<TokenId> tokens);

 private:
  struct Idle {
    std::unique_ptr<KeyValueCache> cache;
    std::vector<TokenId> tokens;
  };
  std::unique_ptr<KeyValueCache> take(size_t index, int64_t length);

  const ContinuesText& decoder_;
  int64_t capacity_;
  std::vector<Idle> idle_;  ///< in the order they were given back
};

/// How many tokens two sequences begin with alike.
int64_t common_prefix(std::span<const TokenId> a, std::span<const TokenId> b);

}  // namespace wattle::inline decode
