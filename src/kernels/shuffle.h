// Lanes of vectors by numbers that are known when this is compiled: __builtin_shufflevector, which GCC (12
// and later) and Clang share. Included inside the unnamed namespace of each instruction set's file.

/// The lane of `a` and `b`, one after the other, that comes to lane i: those with the bit kBit are b's. Where
/// kCrossA (kCrossB), a's (b's) come from the lane that differs from i in that bit.
template <int kLanes, int kBit, bool kCrossA, bool kCrossB>
constexpr int merged_lane(int i) {
  const int other = i ^ kBit;
  return (i & kBit) != 0 ? kLanes + (kCrossB ? other : i) : (kCrossA ? other : i);
}

template <int kBit, bool kCrossA, bool kCrossB, class V>
inline __attribute__((always_inline)) V merge_lanes(V a, V b) {
  constexpr int kLanes = sizeof(V) / sizeof(a[0]);
  static_assert(kLanes == 4 || kLanes == 8 || kLanes == 16);
#define WATTLE_LANE(i) merged_lane<kLanes, kBit, kCrossA, kCrossB>(i)
#define WATTLE_LANES(i) WATTLE_LANE(i), WATTLE_LANE(i + 1), WATTLE_LANE(i + 2), WATTLE_LANE(i + 3)
  if constexpr (kLanes == 4) {
    return __builtin_shufflevector(a, b, WATTLE_LANES(0));
  } else if constexpr (kLanes == 8) {
    return __builtin_shufflevector(a, b, WATTLE_LANES(0), WATTLE_LANES(4));
  } else {
    return __builtin_shufflevector(a, b, WATTLE_LANES(0), WATTLE_LANES(4), WATTLE_LANES(8), WATTLE_LANES(12));
  }
#undef WATTLE_LANES
#undef WATTLE_LANE
}

/// Lane i of the result is lane i ^ kBit.
template <int kBit, class V>
inline __attribute__((always_inline)) V exchange_lanes(V v) {
  return merge_lanes<kBit, true, true>(v, v);
}

/// One value of all lanes, by halves: `op` of lanes i and i + n / 2 of the n, then of i and i + n / 4 ...
template <class V, class Op, int kHalf = sizeof(V) / 8>
inline __attribute__((always_inline)) float reduce_lanes(V v, const Op& op) {
  if constexpr (kHalf == 0) {
    return v[0];
  } else {
    return reduce_lanes<V, Op, kHalf / 2>(op(v, exchange_lanes<kHalf>(v)), op);
  }
}

/// Lanes of the sums over a row, whatever the vectors' width: kSumLanes / width vectors side by side, so that
/// every instruction set adds the same numbers in the same order.
constexpr int kSumLanes = 16;

/// The same of vectors that lie side by side.
template <int kParts, class V, class Op>
inline __attribute__((always_inline)) float reduce_lanes(V (&parts)[kParts], const Op& op) {
  if constexpr (kParts == 1) {
    return reduce_lanes(parts[0], op);
  } else {
    V half[kParts / 2];
#pragma GCC unroll 4
    for (int i = 0; i < kParts / 2; ++i) half[i] = op(parts[i], parts[i + kParts / 2]);
    return reduce_lanes(half, op);
  }
}
