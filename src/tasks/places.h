#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tasks/answer.h"
#include "text/tokenizer.h"

namespace wattle::inline tasks {

/// Parts of one text as answers name them. The text must outlive this object.
class Places {
 public:
  explicit Places(std::string_view text);

  /// Bytes [begin, end) with their code points and their text; nothing is outside of the text.
  Span span(ByteRange bytes, std::string label, float score) const;

 private:
  int64_t code_points_before(uint32_t byte) const;

  std::string_view text_;
  std::vector<int64_t> before_block_;  ///< code points before each block of bytes
};

/// Windows [begin, end) over a text of `length` tokens: `room` tokens each, of which `overlap` (less than
/// `room`) are those of the window before. The last one ends with the text; one at least.
std::vector<std::pair<size_t, size_t>> windows(size_t length, size_t room, size_t overlap);

}  // namespace wattle::inline tasks
