#pragma once

#include <span>

#include "kernels/attention_kernels.h"
#include "layers/attention.h"

namespace wattle::inline layers {

/// Queries of one key-value head, few enough that what is theirs stays in the second-level cache, over keys
/// and values in Q8_0 or Q4_0: queries in 8 bits with a scale for 32 values, as activations of products have
/// it; scores and sums of values by integer products; docs/kernels.md has the definition. A row's bits depend
/// on nothing but itself and what it sees.
void attend_integers(const HeadCache& head, const AttentionShape& shape, std::span<AttentionRow> rows);

}  // namespace wattle::inline layers
