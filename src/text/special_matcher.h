#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace wattle::inline text {

/// A byte trie of the tokens that are found in a text before it is split: of those that begin at a place, the
/// longest.
class SpecialMatcher {
 public:
  SpecialMatcher() { root_.fill(-1); }

  /// A later token with the same text is ignored.
  void add(std::string_view text, TokenId id);

  struct Match {
    TokenId id;
    size_t length;
  };
  /// `accept(id, length)` says whether a token may be taken here.
  template <typename Accept>
  std::optional<Match> longest_at(std::string_view text, size_t position, const Accept& accept) const {
    std::optional<Match> found;
    int node = root_[static_cast<uint8_t>(text[position])];
    for (size_t length = 1; node >= 0; ++length) {
      if (nodes_[node].id >= 0 && accept(nodes_[node].id, length)) found = Match{nodes_[node].id, length};
      if (position + length >= text.size()) break;
      node = child(node, static_cast<uint8_t>(text[position + length]));
    }
    return found;
  }

 private:
  struct Node {
    int first_child = -1, next_sibling = -1;
    TokenId id = -1;
    uint8_t byte = 0;
  };
  int child(int node, uint8_t byte) const {
    int next = nodes_[node].first_child;
    while (next >= 0 && nodes_[next].byte != byte) next = nodes_[next].next_sibling;
    return next;
  }

  std::array<int, 256> root_;
  std::vector<Node> nodes_;
};

}  // namespace wattle::inline text
