#pragma once

#include <cstdint>
#include <optional>
#include <queue>
#include <vector>

namespace wattle::inline text {

/// A piece of a word that merges with its neighbours: bytes [begin, begin + length) of the word.
struct Symbol {
  uint32_t begin = 0, length = 0;
  int32_t id = -1;  ///< the token it is, where the caller knows
  int32_t previous = -1, next = -1;
};

/// What joining two neighbours gives; lower rank merges first.
template <typename Rank>
struct Joined {
  Rank rank;
  int32_t id;
};

/// Byte-pair merging (Sennrich et al. 2016): again and again the neighbours of the lowest rank, of equal
/// ranks the leftmost, become one, until `join(left, right)` (std::optional<Joined<Rank>>) knows no pair. O(n
/// log n). Symbols that were merged into their left neighbour are left with length 0.
template <typename Rank, typename Join>
void merge_symbols(std::vector<Symbol>& symbols, const Join& join) {
  struct Candidate {
    Rank rank;
    int32_t left, right, id;
    uint32_t length;
    bool operator<(const Candidate& other) const {  // the queue keeps the greatest on top
      return rank != other.rank ? rank > other.rank : left > other.left;
    }
  };
  std::priority_queue<Candidate> queue;
  const auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const auto joined = join(symbols[left], symbols[right]);
    if (joined)
      queue.push({joined->rank, left, right, joined->id, symbols[left].length + symbols[right].length});
  };
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i) + 1 : -1;
  }
  for (size_t i = 1; i < symbols.size(); ++i) consider(static_cast<int32_t>(i) - 1, static_cast<int32_t>(i));
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    // One of the two has merged with another neighbour since.
    if (left.length == 0 || right.length == 0 || left.length + right.length != best.length) continue;
    left.length = best.length;
    left.id = best.id;
    left.next = right.next;
    right.length = 0;
    if (left.next >= 0) symbols[left.next].previous = best.left;
    consider(left.previous, best.left);
    consider(best.left, left.next);
  }
}

}  // namespace wattle::inline text
