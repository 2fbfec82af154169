#pragma once

#include <cstdint>

namespace wattle::inline text {

/// What became of a text that is longer than a model reads.
struct Truncation {
  int64_t tokens = 0;  ///< before the cut, template and special tokens included; 0: nothing was cut
  int64_t limit = 0;   ///< tokens that there is room for

  bool happened() const { return tokens > 0; }
};

}  // namespace wattle::inline text
