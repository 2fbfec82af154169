// Weights of any format as the cells that dense tiles read: floats, or pairs of bfloat16, the first of a pair
// in the low half. Written once over a vector type V; included inside the unnamed namespace of each
// instruction set's file after recipes.h.

template <class V>
struct PairOfFloats {
  typename V::Float first, second;
};

/// The two weights of each lane of a cell of pairs.
template <class V, Cells kCells>
inline PairOfFloats<V> floats_of_pair(typename V::Word both) {
  using Float = typename V::Float;
  if constexpr (kCells == Cells::kHalves) return {V::low_halves(both), V::low_halves(both >> 16)};
  return {(Float)(both << 16), (Float)(both & 0xFFFF0000u)};
}

/// bfloat16 codes in the low halves: rounded to nearest even, NaN stays NaN (quant/half.h in vectors).
template <class V>
inline typename V::Word bfloat16_codes(typename V::Float values) {
  using Word = typename V::Word;
  const auto bits = (Word)values;
  const Word rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const auto is_nan = (Word)((bits & 0x7FFFFFFFu) > 0x7F800000u);
  return (rounded & ~is_nan) | (((bits >> 16) | 0x40u) & is_nan);
}

template <class V>
void bfloat16(const float* x, int64_t count, uint16_t* out) {
  typedef uint16_t Halves __attribute__((vector_size(kLaneCount * 2)));
  int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) {
    const Halves codes = __builtin_convertvector(bfloat16_codes<V>(V::load_float(x + i)), Halves);
    __builtin_memcpy(out + i, &codes, sizeof codes);
  }
  for (; i < count; ++i) {
    const typename V::Float all = x[i] - typename V::Float{};
    out[i] = static_cast<uint16_t>(bfloat16_codes<V>(all)[0]);
  }
}

/// Weights i and i + 1 (i even) of lanes lane .. to `out`, cells of a panel.
template <class V>
inline void put_pair(typename V::Float first, typename V::Float second, int64_t i, int lane, bool pairs,
                     bool only_first, std::byte* out) {
  if (pairs) {
    const typename V::Word low = bfloat16_codes<V>(first);
    V::store(out + i / 2 * kCell + lane * 4, only_first ? low : low | bfloat16_codes<V>(second) << 16);
    return;
  }
  V::store_float(out + i * kCell + lane * 4, first);
  if (!only_first) V::store_float(out + (i + 1) * kCell + lane * 4, second);
}

/// `count` weights of a dense panel from `cells` on, its cells of F32, or of pairs of F16 or BF16.
template <class V>
void widen(Format format, const std::byte* cells, int64_t count, bool pairs, std::byte* out) {
  using Float = typename V::Float;
  for (int64_t i = 0; i < count; i += 2) {
    const bool only_first = i + 1 == count;
    for (int lane = 0; lane < 16; lane += V::kLanes) {
      Float first, second = {};
      if (format == Format::kF32) {
        first = V::load_float(cells + i * kCell + lane * 4);
        if (!only_first) second = V::load_float(cells + (i + 1) * kCell + lane * 4);
      } else {
        const typename V::Word both = V::load(cells + i / 2 * kCell + lane * 4);
        const PairOfFloats<V> pair = format == Format::kF16 ? floats_of_pair<V, Cells::kHalves>(both)
                                                            : floats_of_pair<V, Cells::kBfloat16>(both);
        first = pair.first, second = pair.second;
      }
      put_pair<V>(first, second, i, lane, pairs, only_first, out);
    }
  }
}

/// `count` (even) weights from weight `begin` (even) of `blocks` on, as the recipe that unpacked them means
/// them.
template <class V, class Recipe>
void dense_of_blocks(const UnpackedBlock* blocks, int64_t begin, int64_t count, bool pairs, std::byte* out) {
  using Float = typename V::Float;
  using Int = typename V::Int;
  constexpr int kMinima = minima_of(Recipe::kKind);
  constexpr bool kTwoScales = Recipe::kKind == Kind::kTwoScales;
  for (int64_t i = 0; i < count; i += 2) {
    const UnpackedBlock& block = blocks[(begin + i) / 32];
    const int at = static_cast<int>((begin + i) % 32), half = at / 16;
    for (int lane = 0; lane < 16; lane += V::kLanes) {
      const typename V::Word bytes = V::load(block.q[at / 4] + lane * 4) >> (at % 4 * 8);
      Float values[2];
      for (int which = 0; which < 2; ++which) {
        Int q = (Int)((bytes >> (which * 8)) & 0xFFu) - Recipe::kZero;
        if constexpr (has_two_factors(Recipe::kKind)) q = q * (Int)V::load(block.factor[half] + lane);
        values[which] = V::to_float(q) * V::load_float(block.scale[kTwoScales ? half : 0] + lane);
        if constexpr (kMinima > 0) {
          values[which] = values[which] - V::load_float(block.minimum[kMinima == 2 ? half : 0] + lane);
        }
      }
      put_pair<V>(values[0], values[1], i, lane, pairs, false, out);
    }
  }
}
