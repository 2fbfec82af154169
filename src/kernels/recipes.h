// How each format's panels become unsigned bytes and scales: one struct a format, written once over a vector
// type V (isa_*.cc) of V::kLanes rows. Included inside the unnamed namespace of each instruction set's file,
// so that no code compiled for one can be linked into another.
//
// A recipe has
//   kBlocks           blocks of 32 in a body: 1, or 8 for the K-quants
//   kKind             which of the values below a block has
//   kZero             zero point of the unsigned bytes
//   Scales, prepare() the scales of a body, from the head and the body
//   group(j, g)       the bytes of weights 4g..4g+3 of block j: 4 for each lane
//   scale(j), or scale(j, half) where the halves have their own; factor(j, half), minimum(j, half)
// A weight is scale * factor * (byte - zero) - minimum. Q2_K and Q3_K have a second recipe, for many rows:
// the factor multiplied into the bytes, which costs more to unpack and less to multiply with. Both give the
// same bits. `head` and `body` point at the first lane; cells are kCell bytes apart whatever V::kLanes is.

enum class Kind {
  kScale,         // d
  kScaleMin,      // d and a minimum
  kScaleTwoMins,  // d and a minimum for each half of the block
  kTwoScales,     // d for each half
  kTwoFactors,    // d and an integer factor for each half
  kTwoFactorsTwoMins,
};
constexpr bool has_two_factors(Kind kind) {
  return kind == Kind::kTwoFactors || kind == Kind::kTwoFactorsTwoMins;
}
/// Whether the halves of a block are summed apart.
constexpr bool has_halves(Kind kind) {
  return kind == Kind::kTwoScales || has_two_factors(kind);
}
constexpr int minima_of(Kind kind) {
  if (kind == Kind::kScaleTwoMins || kind == Kind::kTwoFactorsTwoMins) return 2;
  return kind == Kind::kScaleMin ? 1 : 0;
}

/// The zero point of what dot() multiplies: where it takes full bytes for signed numbers, those are q - 128.
template <class V, class Recipe>
constexpr int zero_point_of() {
  return Recipe::kZero >= 127 && V::kSignedBytes ? Recipe::kZero - 128 : Recipe::kZero;
}

/// dot * scale, rounded once; `offset` as offset_of(scale).
template <class V, bool kFloatDots>
inline typename V::Float scaled_dot(typename V::Int dot, typename V::Float scale, typename V::Float offset) {
  if constexpr (kFloatDots) return V::fma((typename V::Float)dot, scale, offset);
  return V::to_float(dot) * scale;
}

/// Exact, since scales have 19 bits at most (a half times 8 bits).
template <class V, bool kFloatDots>
inline typename V::Float offset_of(typename V::Float scale) {
  if constexpr (kFloatDots) return scale * -kFloatStartValue;
  return typename V::Float{};
}

constexpr int kCell = 64;

template <class V>
inline typename V::Word cell(const std::byte* body, int index) {
  return V::load(body + index * kCell);
}

/// What formats with blocks of 32 share: scales in registers.
template <class V, Kind kKindOf, int kZeroOf, int64_t kHeadBytes, int kCellCount>
struct SmallBlock {
  using Word = typename V::Word;
  using Float = typename V::Float;
  static constexpr int kBlocks = 1;
  static constexpr Kind kKind = kKindOf;
  static constexpr int kZero = kZeroOf;
  static constexpr int64_t kHead = kHeadBytes;
  static constexpr int64_t kBody = kCellCount * kCell;
  struct Scales {
    Float d = {}, m = {};
  };
  static Float scale(const Scales& s, int) { return s.d; }
  static Float minimum(const Scales& s, int, int) { return s.m; }
};

/// Bytes of group g of 16-byte nibble blocks that begin at cell `first`: low nibbles are weights 0..15.
template <class V>
inline typename V::Word nibbles(const std::byte* body, int first, int g) {
  return (cell<V>(body, first + g % 4) >> (g / 4 * 4)) & 0x0F0F0F0Fu;
}

/// Bit g of each byte of the cell, as 16.
template <class V>
inline typename V::Word high_bit(const std::byte* body, int index, int g) {
  const typename V::Word bits = cell<V>(body, index);
  return (g < 4 ? bits << (4 - g) : bits >> (g - 4)) & 0x10101010u;
}

template <class V>
struct RecipeQ4_0 : SmallBlock<V, Kind::kScale, 8, 32, 4> {
  using typename SmallBlock<V, Kind::kScale, 8, 32, 4>::Scales;
  static void prepare(const std::byte* head, const std::byte*, Scales& s) { s.d = V::halves(head); }
  static typename V::Word group(const std::byte* body, const Scales&, int, int g) {
    return nibbles<V>(body, 0, g);
  }
};

template <class V>
struct RecipeIQ4_NL : SmallBlock<V, Kind::kScale, 128, 32, 4> {
  using typename SmallBlock<V, Kind::kScale, 128, 32, 4>::Scales;
  static void prepare(const std::byte* head, const std::byte*, Scales& s) { s.d = V::halves(head); }
  static typename V::Word group(const std::byte* body, const Scales&, int, int g) {
    return V::lookup_iq4(nibbles<V>(body, 0, g));
  }
};

template <class V>
struct RecipeQ5_0 : SmallBlock<V, Kind::kScale, 16, 32, 5> {
  using typename SmallBlock<V, Kind::kScale, 16, 32, 5>::Scales;
  static void prepare(const std::byte* head, const std::byte*, Scales& s) { s.d = V::halves(head); }
  static typename V::Word group(const std::byte* body, const Scales&, int, int g) {
    return nibbles<V>(body, 1, g) | high_bit<V>(body, 0, g);
  }
};

template <class V>
struct RecipeQ8_0 : SmallBlock<V, Kind::kScale, 128, 32, 8> {
  using typename SmallBlock<V, Kind::kScale, 128, 32, 8>::Scales;
  static void prepare(const std::byte* head, const std::byte*, Scales& s) { s.d = V::halves(head); }
  static typename V::Word group(const std::byte* body, const Scales&, int, int g) { return cell<V>(body, g); }
};

template <class V>
struct RecipeQ4_1 : SmallBlock<V, Kind::kScaleMin, 0, 0, 5> {
  using typename SmallBlock<V, Kind::kScaleMin, 0, 0, 5>::Scales;
  static void prepare(const std::byte*, const std::byte* body, Scales& s) {
    const typename V::Word dm = cell<V>(body, 0);
    s.d = V::low_halves(dm), s.m = -V::low_halves(dm >> 16);
  }
  static typename V::Word group(const std::byte* body, const Scales&, int, int g) {
    return nibbles<V>(body, 1, g);
  }
};

template <class V>
struct RecipeQ5_1 : SmallBlock<V, Kind::kScaleMin, 0, 0, 6> {
  using typename SmallBlock<V, Kind::kScaleMin, 0, 0, 6>::Scales;
  static void prepare(const std::byte*, const std::byte* body, Scales& s) {
    const typename V::Word dm = cell<V>(body, 0);
    s.d = V::low_halves(dm), s.m = -V::low_halves(dm >> 16);
  }
  static typename V::Word group(const std::byte* body, const Scales&, int, int g) {
    return nibbles<V>(body, 2, g) | high_bit<V>(body, 1, g);
  }
};

/// Byte `index` of each lane of `words` as a number.
template <class V>
inline typename V::Word byte_of(typename V::Word words, int index) {
  return (words >> (8 * index)) & 0xFFu;
}

/// Bytes of four that a dot product picks: it moves a byte to its lane and adds a number in one instruction.
constexpr int8_t kPick[4][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};

/// Byte `index` (below 64) of each lane of `words` and `plus`.
template <class V>
inline typename V::Int number_in(typename V::Word words, int index, int32_t plus) {
  if constexpr (V::kFloatDots) return V::template dot<false>(plus - typename V::Int{}, words, kPick[index]);
  return (typename V::Int)byte_of<V>(words, index) + plus;
}

/// Signed byte `index` of each lane of `words`, whose signs were turned (^ 0x80808080), and `plus`.
template <class V>
inline typename V::Int signed_number_in(typename V::Word turned, int index, int32_t plus) {
  const int32_t start = V::kSignedBytes ? plus : plus - 128;
  if constexpr (V::kFloatDots) return V::template dot<true>(start - typename V::Int{}, turned, kPick[index]);
  return (typename V::Int)byte_of<V>(turned, index) + (plus - 128);
}

/// A scale and what takes kFloatStartValue times it off again (tiles.h).
template <class V>
struct Unit {
  typename V::Float scale, offset;
  explicit Unit(typename V::Float by) : scale(by), offset(offset_of<V, V::kFloatDots>(by)) {}
  /// scale * (number - start), exact; numbers begin at kStart.
  typename V::Float times(typename V::Int number) const {
    return scaled_dot<V, V::kFloatDots>(number, scale, offset);
  }
  static constexpr int32_t kStart = V::kFloatDots ? kFloatStart : 0;
};

/// What formats with bodies of 256 share.
template <class V, Kind kKindOf, int kZeroOf, int64_t kHeadBytes, int kCellCount>
struct BigBlock {
  using Word = typename V::Word;
  using Int = typename V::Int;
  using Float = typename V::Float;
  static constexpr int kBlocks = 8;
  static constexpr Kind kKind = kKindOf;
  static constexpr int kZero = kZeroOf;
  static constexpr int64_t kHead = kHeadBytes;
  static constexpr int64_t kBody = kCellCount * kCell;
};

/// What Q4_K and Q5_K share: eight 6-bit pairs of scale and minimum in three cells after d and dmin.
template <class V, int kCellCount, bool kOddSixteenfold>
struct ScaleMinPairs : BigBlock<V, Kind::kScaleMin, 0, 0, kCellCount> {
  using Word = typename V::Word;
  using Float = typename V::Float;
  struct Scales {
    Float d[8], m[8];
  };
  static void prepare(const std::byte*, const std::byte* body, Scales& s) {
    const Word d_dmin = cell<V>(body, 0);
    const Float d = V::low_halves(d_dmin), dmin = V::low_halves(d_dmin >> 16);
    const Word a = cell<V>(body, 1), b = cell<V>(body, 2), c = cell<V>(body, 3);
    const Word scales[2] = {a & 0x3F3F3F3Fu, (c & 0x0F0F0F0Fu) | ((a >> 2) & 0x30303030u)};
    const Word minima[2] = {b & 0x3F3F3F3Fu, ((c >> 4) & 0x0F0F0F0Fu) | ((b >> 2) & 0x30303030u)};
    const Unit<V> even(d), odd(kOddSixteenfold ? d * 0.0625f : d), lowest(dmin);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      s.d[j] = (j % 2 == 1 ? odd : even).times(number_in<V>(scales[j / 4], j % 4, Unit<V>::kStart));
      s.m[j] = lowest.times(number_in<V>(minima[j / 4], j % 4, Unit<V>::kStart));
    }
  }
  static Float scale(const Scales& s, int j) {
    return s.d[j];
  }
  static Float minimum(const Scales& s, int j, int) {
    return s.m[j];
  }
};

/// Odd blocks are high nibbles: left where they are, sixteen times too large, and their scale sixteen times
/// too small, which is exact; where full bytes would be taken for signed, they are shifted down.
template <class V>
struct RecipeQ4_K : ScaleMinPairs<V, 36, !V::kSignedBytes> {
  using typename ScaleMinPairs<V, 36, !V::kSignedBytes>::Scales;
  static typename V::Word group(const std::byte* body, const Scales&, int j, int g) {
    const typename V::Word both = cell<V>(body, 4 + j / 2 * 8 + g);
    if (!V::kSignedBytes && j % 2 == 1) return both & 0xF0F0F0F0u;
    return (both >> (j % 2 * 4)) & 0x0F0F0F0Fu;
  }
};

/// The low cells' place where those of high bits lie between the first eight (tensor/panels.cc).
constexpr int interleaved(int low) {
  return low < 8 ? 2 * low + 1 : low + 8;
}

template <class V>
struct RecipeQ5_K : ScaleMinPairs<V, 44, false> {
  using typename ScaleMinPairs<V, 44, false>::Scales;
  static typename V::Word group(const std::byte* body, const Scales&, int j, int g) {
    const typename V::Word low = (cell<V>(body, 4 + interleaved(j / 2 * 8 + g)) >> (j % 2 * 4)) & 0x0F0F0F0Fu;
    return low | high_bit<V>(body, 4 + 2 * g, j);
  }
};

/// What Q2_K and Q3_K share: d and an integer factor for every 16 weights, small enough to be multiplied into
/// the bytes.
template <class V, Kind kKindOf, int kZeroOf, int64_t kHeadBytes, int kCellCount>
struct FactorBlock : BigBlock<V, kKindOf, kZeroOf, kHeadBytes, kCellCount> {
  using Int = typename V::Int;
  using Float = typename V::Float;
  struct Scales {
    Float d;
    Int factor[16];
    Float m[16];  // not set where there is no minimum
  };
  static Float scale(const Scales& s, int) { return s.d; }
  static Int factor(const Scales& s, int j, int half) { return s.factor[2 * j + half]; }
  static Float minimum(const Scales& s, int j, int half) { return s.m[2 * j + half]; }
};

/// d times an 8-bit factor for every 16 weights. Integer products with the factors would take the pipes of
/// the dot products (Zen 4 and 5), so the halves' sums become floats first: one operation less.
template <class V>
struct RecipeQ6_K : BigBlock<V, Kind::kTwoScales, 32, 32, 52> {
  using Word = typename V::Word;
  using Int = typename V::Int;
  using Float = typename V::Float;
  struct Scales {
    Float d[16];
  };
  static void prepare(const std::byte* head, const std::byte* body, Scales& s) {
    const Unit<V> unit(V::halves(head));
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      s.d[i] = unit.times(signed_number_in<V>(cell<V>(body, i / 4) ^ 0x80808080u, i % 4, Unit<V>::kStart));
    }
  }
  static Float scale(const Scales& s, int j, int half) {
    return s.d[2 * j + half];
  }
  static Word group(const std::byte* body, const Scales&, int j, int g) {
    const int first = 4 + j / 4 * 24, part = j % 4;
    const Word low = (cell<V>(body, first + interleaved(part % 2 * 8 + g)) >> (part / 2 * 4)) & 0x0F0F0F0Fu;
    const Word high = cell<V>(body, first + 2 * g);
    return low | ((part < 2 ? high << (4 - 2 * part) : high >> (2 * part - 4)) & 0x30303030u);
  }
};

template <class V>
struct RecipeQ2_K : FactorBlock<V, Kind::kTwoFactorsTwoMins, 0, 0, 21> {
  using Base = FactorBlock<V, Kind::kTwoFactorsTwoMins, 0, 0, 21>;
  using typename Base::Scales;
  using typename Base::Word;
  static void prepare(const std::byte*, const std::byte* body, Scales& s) {
    const Word d_dmin = cell<V>(body, 0);
    s.d = V::low_halves(d_dmin);
    const Unit<V> lowest(V::low_halves(d_dmin >> 16));
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const Word codes = cell<V>(body, 1 + i / 4);
      s.m[i] = lowest.times(number_in<V>((codes >> 4) & 0x0F0F0F0Fu, i % 4, Unit<V>::kStart));
      s.factor[i] = number_in<V>(codes & 0x0F0F0F0Fu, i % 4, 0);
    }
  }
  static Word group(const std::byte* body, const Scales&, int j, int g) {
    return (cell<V>(body, 5 + j / 4 * 8 + g) >> (j % 4 * 2)) & 0x03030303u;
  }
};

/// 4-bit factor times 2-bit weight is at most 45: still a byte.
template <class V>
struct FoldedQ2_K : RecipeQ2_K<V> {
  using Base = RecipeQ2_K<V>;
  using typename Base::Scales;
  static constexpr Kind kKind = Kind::kScaleTwoMins;
  static typename V::Word group(const std::byte* body, const Scales& s, int j, int g) {
    const auto factor = (typename V::Word)s.factor[2 * j + g / 4];
    return V::multiply16(Base::group(body, s, j, g), factor | (factor << 16));
  }
};

template <class V>
struct RecipeQ3_K : FactorBlock<V, Kind::kTwoFactors, 4, 32, 27> {
  using Base = FactorBlock<V, Kind::kTwoFactors, 4, 32, 27>;
  using typename Base::Scales;
  using typename Base::Word;
  static void prepare(const std::byte* head, const std::byte* body, Scales& s) {
    s.d = V::halves(head);
    const Word a = cell<V>(body, 0), b = cell<V>(body, 1), c = cell<V>(body, 2);
    const Word codes[4] = {
        (a & 0x0F0F0F0Fu) | ((c << 4) & 0x30303030u), (b & 0x0F0F0F0Fu) | ((c << 2) & 0x30303030u),
        ((a >> 4) & 0x0F0F0F0Fu) | (c & 0x30303030u), ((b >> 4) & 0x0F0F0F0Fu) | ((c >> 2) & 0x30303030u)};
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) s.factor[i] = number_in<V>(codes[i / 4], i % 4, -32);
  }
  static Word group(const std::byte* body, const Scales&, int j, int g) {
    const Word low = (cell<V>(body, 3 + interleaved(j / 4 * 8 + g)) >> (j % 4 * 2)) & 0x03030303u;
    const Word bits = cell<V>(body, 3 + 2 * g);
    return low | ((j < 2 ? bits << (2 - j) : bits >> (j - 2)) & 0x04040404u);
  }
};

/// Factor * (q - 4) lies in -124 .. 128, so with 127 added it is a byte, computed modulo 256.
template <class V>
struct FoldedQ3_K : RecipeQ3_K<V> {
  using Base = RecipeQ3_K<V>;
  using Word = typename V::Word;
  using typename Base::Scales;
  static constexpr Kind kKind = Kind::kScale;
  static constexpr int kZero = 127;
  static Word group(const std::byte* body, const Scales& s, int j, int g) {
    const Word q = Base::group(body, s, j, g);
    const auto code = (Word)s.factor[2 * j + g / 4];
    const Word factor = (code & 0xFFFFu) | (code << 16);
    const Word even = V::multiply16(q & 0x00FF00FFu, factor) & 0x00FF00FFu;
    const Word odd = V::multiply16(q & 0xFF00FF00u, factor);  // the low byte of each product is zero
    const Word offset = (127u - (code << 2)) & 0xFFu;
    const Word pair = offset | (offset << 8);
    return V::add8(even | odd, pair | (pair << 16));
  }
};

template <class V>
struct RecipeIQ4_XS : BigBlock<V, Kind::kScale, 128, 0, 34> {
  using Word = typename V::Word;
  using Float = typename V::Float;
  struct Scales {
    Float d[8];
  };
  static void prepare(const std::byte*, const std::byte* body, Scales& s) {
    const Word first = cell<V>(body, 0), low = cell<V>(body, 1);
    const Float d = V::low_halves(first);
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      const Word code = ((low >> (4 * j)) & 15u) | (((first >> (16 + 2 * j)) & 3u) << 4);
      s.d[j] = d * V::to_float((typename V::Int)(code - 32u));
    }
  }
  static Word group(const std::byte* body, const Scales&, int j, int g) {
    return V::lookup_iq4(nibbles<V>(body, 2 + j * 4, g));
  }
  static Float scale(const Scales& s, int j) {
    return s.d[j];
  }
  static Float minimum(const Scales&, int, int) {
    return Float{};
  }
};

/// Blocks that were unpacked before: what a tile reads when there are many rows.
template <class V, Kind kKindOf, int kZeroOf>
struct RecipeUnpacked {
  using Word = typename V::Word;
  using Float = typename V::Float;
  static constexpr int kBlocks = 1;
  static constexpr Kind kKind = kKindOf;
  static constexpr int kZero = kZeroOf;
  static constexpr int64_t kHead = 0;
  static constexpr int64_t kBody = sizeof(UnpackedBlock);
  struct Scales {
    const std::byte* body;
  };
  static void prepare(const std::byte*, const std::byte* body, Scales& s) { s.body = body; }
  static Word group(const std::byte* body, const Scales&, int, int g) { return cell<V>(body, g); }
  static Float scale(const Scales& s, int, int half = 0) {
    return V::load_float(s.body + offsetof(UnpackedBlock, scale) + half * kCell);
  }
  static typename V::Int factor(const Scales& s, int, int half) {
    return (typename V::Int)V::load(s.body + offsetof(UnpackedBlock, factor) + half * kCell);
  }
  static Float minimum(const Scales& s, int, int half) {
    return V::load_float(s.body + offsetof(UnpackedBlock, minimum) + half * kCell);
  }
};
