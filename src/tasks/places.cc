#include "tasks/places.h"

#include <algorithm>

namespace wattle::inline tasks {
namespace {

constexpr size_t kBlock = 256;

int64_t count_code_points(std::string_view text) {
  return std::ranges::count_if(text,
                               [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
}

}  // namespace

Places::Places(std::string_view text) : text_(text) {
  int64_t count = 0;
  for (size_t begin = 0; begin <= text.size(); begin += kBlock) {
    before_block_.push_back(count);
    count += count_code_points(text.substr(begin, kBlock));
  }
}

int64_t Places::code_points_before(uint32_t byte) const {
  const size_t block = byte / kBlock;
  return before_block_[block] + count_code_points(text_.substr(block * kBlock, byte - block * kBlock));
}

Span Places::span(ByteRange bytes, std::string label, float score) const {
  const auto size = static_cast<uint32_t>(text_.size());
  const uint32_t begin = std::min(bytes.begin, size), end = std::clamp(bytes.end, begin, size);
  return {begin,
          end,
          code_points_before(begin),
          code_points_before(end),
          std::move(label),
          std::string(text_.substr(begin, end - begin)),
          score};
}

std::vector<std::pair<size_t, size_t>> windows(size_t length, size_t room, size_t overlap) {
  std::vector<std::pair<size_t, size_t>> all;
  for (size_t begin = 0;; begin += room - overlap) {
    const size_t end = std::min(begin + room, length);
    all.emplace_back(begin, end);
    if (end == length) return all;
  }
}

}  // namespace wattle::inline tasks
