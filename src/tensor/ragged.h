#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace wattle::inline tensor {

/// Sequences of different lengths laid end to end: sequence i is items offsets[i] .. offsets[i+1]. Nothing is
/// padded.
template <typename T>
struct Ragged {
  std::vector<T> items;
  std::vector<int64_t> offsets{0};

  int64_t sequences() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t i) const { return offsets[i + 1] - offsets[i]; }
  std::span<const T> sequence(int64_t i) const {
    return {items.data() + offsets[i], static_cast<size_t>(length(i))};
  }
  void append(std::span<const T> sequence) {
    items.insert(items.end(), sequence.begin(), sequence.end());
    offsets.push_back(static_cast<int64_t>(items.size()));
  }
};

}  // namespace wattle::inline tensor
