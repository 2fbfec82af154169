#pragma once

#include <cstdint>
#include <span>

#include "layers/attention.h"

namespace wattle::inline layers {

/// Attention whose heads talk (Shazeer et al. 2020): before the softmax each head's scores become a mixture
/// of all heads' scores, after it each head's probabilities a mixture of all heads' probabilities.
struct TalkingHeads {
  Matrix scores, probabilities;  ///< [heads, heads]; a row makes a head

  explicit operator bool() const { return scores.rows() > 0; }
};

/// As attend_within, for heads that have keys and values of their own.
void attend_talking(const AttentionShape& shape, const TalkingHeads& talk, ConstMatrixView q,
                    ConstMatrixView k, ConstMatrixView v, std::span<const int64_t> offsets,
                    const ScoreBias* bias, MatrixView out, Work& work, IndexRange rows);

}  // namespace wattle::inline layers
