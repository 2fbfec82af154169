#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>

#include "tasks/answer.h"

namespace wattle::inline tasks {

/// What the tokens of windows were foretold with, summed.
struct PerplexityScore {
  double nats = 0;  ///< -ln p
  int64_t tokens = 0, bytes = 0, windows = 0;

  PerplexityScore& operator+=(const PerplexityScore& other) {
    nats += other.nats, tokens += other.tokens, bytes += other.bytes, windows += other.windows;
    return *this;
  }
  /// Bits a byte only where the tokens' bytes are known.
  PerplexityAnswer answer(bool knows_bytes) const {
    PerplexityAnswer answer{std::exp(nats / static_cast<double>(tokens)), {}, tokens, windows};
    if (knows_bytes) {
      answer.bits_per_byte = bytes > 0 ? nats / std::numbers::ln2 / static_cast<double>(bytes) : 0.0;
    }
    return answer;
  }
};

}  // namespace wattle::inline tasks
