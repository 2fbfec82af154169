#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "text/tokenizer.h"

namespace wattle::inline text {

/// For each token of a vocabulary, whether a word with its text is cut into that token alone: most words of a
/// text are (80-90 % of English), and need then one look-up instead of a merge. Learnt as words are met; one
/// byte a token, no locks, and the same answer whichever thread asks first.
class WordStates {
 public:
  explicit WordStates(int size)
      : states_(std::make_unique<std::atomic<uint8_t>[]>(static_cast<size_t>(size))) {}

  enum State : uint8_t { kUnknown = 0, kWhole = 1, kCut = 2 };
  State get(TokenId id) const { return static_cast<State>(states_[id].load(std::memory_order_relaxed)); }
  void set(TokenId id, State state) const { states_[id].store(state, std::memory_order_relaxed); }

 private:
  std::unique_ptr<std::atomic<uint8_t>[]> states_;
};

}  // namespace wattle::inline text
