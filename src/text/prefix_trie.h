#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenizer.h"

namespace wattle::inline text {

/// Finds all tokens that begin a text. Built once; the children of a node lie side by side in order of their
/// byte, so that a vocabulary of 250,000 tokens takes some ten megabytes.
class PrefixTrie {
 public:
  /// Of two tokens with the same text the first given stays.
  explicit PrefixTrie(std::vector<std::pair<std::string_view, TokenId>> tokens) {
    std::stable_sort(tokens.begin(), tokens.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::erase_if(tokens, [](const auto& token) { return token.first.empty(); });
    nodes_.push_back({});
    struct Range {
      uint32_t node;
      size_t begin, end, depth;
    };
    std::vector<Range> queue = {{0, 0, tokens.size(), 0}};
    for (size_t next = 0; next < queue.size(); ++next) {
      const Range range = queue[next];
      size_t i = range.begin;
      for (; i < range.end && tokens[i].first.size() == range.depth; ++i) {
        if (nodes_[range.node].id < 0) nodes_[range.node].id = tokens[i].second;
      }
      nodes_[range.node].first_child = static_cast<uint32_t>(nodes_.size());
      while (i < range.end) {
        const char byte = tokens[i].first[range.depth];
        size_t end = i + 1;
        while (end < range.end && tokens[end].first[range.depth] == byte) ++end;
        queue.push_back({static_cast<uint32_t>(nodes_.size()), i, end, range.depth + 1});
        nodes_.push_back({});
        bytes_.push_back(static_cast<uint8_t>(byte));
        i = end;
      }
      nodes_[range.node].children = static_cast<uint16_t>(nodes_.size() - nodes_[range.node].first_child);
    }
    root_.fill(0);
    for (uint32_t k = 0; k < nodes_[0].children; ++k) root_[bytes_[k]] = nodes_[0].first_child + k;
  }

  /// Calls `found(length, id)` for the tokens that begin the text, the shortest first.
  template <typename Found>
  void for_each_prefix(std::string_view text, const Found& found) const {
    if (text.empty()) return;
    uint32_t node = root_[static_cast<uint8_t>(text[0])];
    for (size_t length = 1; node != 0; ++length) {
      if (nodes_[node].id >= 0) found(length, nodes_[node].id);
      if (length == text.size()) return;
      node = child(node, static_cast<uint8_t>(text[length]));
    }
  }

 private:
  struct Node {
    uint32_t first_child = 0;
    TokenId id = -1;
    uint16_t children = 0;
  };
  uint32_t child(uint32_t node, uint8_t byte) const {
    const auto begin = bytes_.begin() + nodes_[node].first_child - 1;  // the root has no byte
    const auto end = begin + nodes_[node].children;
    const auto place = std::lower_bound(begin, end, byte);
    return place != end && *place == byte ? nodes_[node].first_child + static_cast<uint32_t>(place - begin)
                                          : 0;
  }

  std::vector<Node> nodes_;
  std::vector<uint8_t> bytes_;  ///< of node i at i - 1
  std::array<uint32_t, 256> root_{};
};

}  // namespace wattle::inline text
