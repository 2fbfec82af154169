#pragma once

#include <span>

#include "kernels/attention_kernels.h"
#include "layers/attention.h"

namespace wattle::inline layers {

/// Values that rotate() mixes with each other: the largest power of two that divides a head, at most so many.
inline constexpr int64_t kMostRotated = 256;
constexpr int64_t rotated_values(int64_t head_dim) {
  const int64_t power = head_dim & -head_dim;
  return power < kMostRotated ? power : kMostRotated;
}

/// Multiplies every rotated_values(head_dim) of `count` values by a Hadamard matrix (Sylvester's, of 1 and
/// -1); 32 divides head_dim. Twice is once times their number. What stands out in one value, as keys have it,
/// is spread over all, so that it takes no levels from the others (QuaRot, Ashkboos et al. 2024).
void rotate(float* values, int64_t count, int64_t head_dim);

/// Queries of one key-value head, few enough that what is theirs stays in the second-level cache, over keys
/// and values in Q8_0 or Q4_0: queries in 8 bits with a scale for 32 values, as activations of products have
/// it; scores and sums of values by integer products; docs/kernels.md has the definition. A row's bits depend
/// on nothing but itself and what it sees.
void attend_integers(const HeadCache& head, const AttentionShape& shape, std::span<AttentionRow> rows);

}  // namespace wattle::inline layers
