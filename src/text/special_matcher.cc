#include "text/special_matcher.h"

namespace wattle::inline text {

void SpecialMatcher::add(std::string_view text, TokenId id) {
  if (text.empty()) return;
  const auto new_node = [this](uint8_t byte) {
    nodes_.push_back({-1, -1, -1, byte});
    return static_cast<int>(nodes_.size()) - 1;
  };
  const uint8_t first = static_cast<uint8_t>(text[0]);
  if (root_[first] < 0) root_[first] = new_node(first);
  int node = root_[first];
  for (const char character : text.substr(1)) {
    const uint8_t byte = static_cast<uint8_t>(character);
    int next = child(node, byte);
    if (next < 0) {
      next = new_node(byte);
      nodes_[next].next_sibling = nodes_[node].first_child;
      nodes_[node].first_child = next;
    }
    node = next;
  }
  if (nodes_[node].id < 0) nodes_[node].id = id;
}

}  // namespace wattle::inline text
