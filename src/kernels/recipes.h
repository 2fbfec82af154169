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
//   scale(j, half), minimum(j, half)
// `head` and `body` point at the first lane; cells are kCell bytes apart whatever V::kLanes is.

enum class Kind {
  kScale,         // d
  kScaleMin,      // d and a minimum
  kTwoScales,     // one d for each half of the block
  kScaleTwoMins,  // d and a minimum for each half
};

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
  static Float scale(const Scales& s, int, int) { return s.d; }
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

template <class V>
inline typename V::Float float_of(typename V::Word words) {
  return V::to_float((typename V::Int)words);
}

/// What Q4_K and Q5_K share: eight 6-bit pairs of scale and minimum in three cells after d and dmin.
template <class V, int kCellCount>
struct ScaleMinPairs {
  using Word = typename V::Word;
  using Float = typename V::Float;
  static constexpr int kBlocks = 8;
  static constexpr Kind kKind = Kind::kScaleMin;
  static constexpr int kZero = 0;
  static constexpr int64_t kHead = 0;
  static constexpr int64_t kBody = kCellCount * kCell;
  struct Scales {
    Float d[8], m[8];
  };
  static void prepare(const std::byte*, const std::byte* body, Scales& s) {
    const Word d_dmin = cell<V>(body, 0);
    const Float d = V::low_halves(d_dmin), dmin = V::low_halves(d_dmin >> 16);
    const Word a = cell<V>(body, 1), b = cell<V>(body, 2), c = cell<V>(body, 3);
    const Word scales[2] = {a & 0x3F3F3F3Fu, (c & 0x0F0F0F0Fu) | ((a >> 2) & 0x30303030u)};
    const Word minima[2] = {b & 0x3F3F3F3Fu, ((c >> 4) & 0x0F0F0F0Fu) | ((b >> 2) & 0x30303030u)};
#pragma GCC unroll 8
    for (int j = 0; j < 8; ++j) {
      s.d[j] = d * float_of<V>(byte_of<V>(scales[j / 4], j % 4));
      s.m[j] = dmin * float_of<V>(byte_of<V>(minima[j / 4], j % 4));
    }
  }
  static Float scale(const Scales& s, int j, int) {
    return s.d[j];
  }
  static Float minimum(const Scales& s, int j, int) {
    return s.m[j];
  }
};

template <class V>
struct RecipeQ4_K : ScaleMinPairs<V, 36> {
  using typename ScaleMinPairs<V, 36>::Scales;
  static typename V::Word group(const std::byte* body, const Scales&, int j, int g) {
    return (cell<V>(body, 4 + j / 2 * 8 + g) >> (j % 2 * 4)) & 0x0F0F0F0Fu;
  }
};

template <class V>
struct RecipeQ5_K : ScaleMinPairs<V, 44> {
  using typename ScaleMinPairs<V, 44>::Scales;
  static typename V::Word group(const std::byte* body, const Scales&, int j, int g) {
    const typename V::Word low = (cell<V>(body, 12 + j / 2 * 8 + g) >> (j % 2 * 4)) & 0x0F0F0F0Fu;
    return low | high_bit<V>(body, 4 + g, j);
  }
};

template <class V>
struct RecipeQ6_K {
  using Word = typename V::Word;
  using Float = typename V::Float;
  static constexpr int kBlocks = 8;
  static constexpr Kind kKind = Kind::kTwoScales;
  static constexpr int kZero = 32;
  static constexpr int64_t kHead = 32;
  static constexpr int64_t kBody = 52 * kCell;
  struct Scales {
    Float d[16];
  };
  static void prepare(const std::byte* head, const std::byte* body, Scales& s) {
    const Float d = V::halves(head);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      // Signed bytes: to the top of the lane and down again with the sign.
      const typename V::Int code = (typename V::Int)(cell<V>(body, 48 + i / 4) << (24 - i % 4 * 8)) >> 24;
      s.d[i] = d * V::to_float(code);
    }
  }
  static Word group(const std::byte* body, const Scales&, int j, int g) {
    const int n = j / 4, part = j % 4;
    const Word low = (cell<V>(body, n * 16 + part % 2 * 8 + g) >> (part / 2 * 4)) & 0x0F0F0F0Fu;
    const Word high = cell<V>(body, 32 + n * 8 + g);
    return low | ((part < 2 ? high << (4 - 2 * part) : high >> (2 * part - 4)) & 0x30303030u);
  }
  static Float scale(const Scales& s, int j, int half) {
    return s.d[2 * j + half];
  }
  static Float minimum(const Scales&, int, int) {
    return Float{};
  }
};

/// Q2_K: 4-bit scale times 2-bit weight is at most 45, so scale * q is a byte and only d remains for the
/// float side.
template <class V>
struct RecipeQ2_K {
  using Word = typename V::Word;
  using Float = typename V::Float;
  static constexpr int kBlocks = 8;
  static constexpr Kind kKind = Kind::kScaleTwoMins;
  static constexpr int kZero = 0;
  static constexpr int64_t kHead = 0;
  static constexpr int64_t kBody = 21 * kCell;
  struct Scales {
    Float d, m[16];
    Word factor[16];  // the scale in either 16-bit half of a lane
  };
  static void prepare(const std::byte*, const std::byte* body, Scales& s) {
    const Word d_dmin = cell<V>(body, 20);
    s.d = V::low_halves(d_dmin);
    const Float dmin = V::low_halves(d_dmin >> 16);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const Word code = byte_of<V>(cell<V>(body, i / 4), i % 4);
      s.m[i] = dmin * float_of<V>(code >> 4);
      const Word factor = code & 15u;
      s.factor[i] = factor | (factor << 16);
    }
  }
  static Word group(const std::byte* body, const Scales& s, int j, int g) {
    const Word q = (cell<V>(body, 4 + j / 4 * 8 + g) >> (j % 4 * 2)) & 0x03030303u;
    return V::multiply16(q, s.factor[2 * j + g / 4]);
  }
  static Float scale(const Scales& s, int, int) {
    return s.d;
  }
  static Float minimum(const Scales& s, int j, int half) {
    return s.m[2 * j + half];
  }
};

/// Q3_K: (scale - 32) * (q - 4) lies in -124 .. 128, so with 127 added it is a byte, computed modulo 256.
template <class V>
struct RecipeQ3_K {
  using Word = typename V::Word;
  using Float = typename V::Float;
  static constexpr int kBlocks = 8;
  static constexpr Kind kKind = Kind::kScale;
  static constexpr int kZero = 127;
  static constexpr int64_t kHead = 32;
  static constexpr int64_t kBody = 27 * kCell;
  struct Scales {
    Float d;
    Word factor[16];  // scale - 32 in either 16-bit half of a lane
    Word offset[16];  // 127 - 4 * (scale - 32) in every byte
  };
  static void prepare(const std::byte* head, const std::byte* body, Scales& s) {
    s.d = V::halves(head);
    const Word a = cell<V>(body, 24), b = cell<V>(body, 25), c = cell<V>(body, 26);
    const Word codes[4] = {
        (a & 0x0F0F0F0Fu) | ((c << 4) & 0x30303030u), (b & 0x0F0F0F0Fu) | ((c << 2) & 0x30303030u),
        ((a >> 4) & 0x0F0F0F0Fu) | (c & 0x30303030u), ((b >> 4) & 0x0F0F0F0Fu) | ((c >> 2) & 0x30303030u)};
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) {
      const Word factor = byte_of<V>(codes[i / 4], i % 4) - 32u;
      s.factor[i] = (factor & 0xFFFFu) | (factor << 16);
      const Word offset = (127u - (factor << 2)) & 0xFFu;
      const Word pair = offset | (offset << 8);
      s.offset[i] = pair | (pair << 16);
    }
  }
  static Word group(const std::byte* body, const Scales& s, int j, int g) {
    const Word low = (cell<V>(body, 8 + j / 4 * 8 + g) >> (j % 4 * 2)) & 0x03030303u;
    const Word bits = cell<V>(body, g);
    const Word q = low | ((j < 2 ? bits << (2 - j) : bits >> (j - 2)) & 0x04040404u);
    const Word factor = s.factor[2 * j + g / 4];
    const Word even = V::multiply16(q & 0x00FF00FFu, factor) & 0x00FF00FFu;
    const Word odd = V::multiply16(q & 0xFF00FF00u, factor);  // the low byte of each product is zero
    return V::add8(even | odd, s.offset[2 * j + g / 4]);
  }
  static Float scale(const Scales& s, int, int) {
    return s.d;
  }
  static Float minimum(const Scales&, int, int) {
    return Float{};
  }
};

template <class V>
struct RecipeIQ4_XS {
  using Word = typename V::Word;
  using Float = typename V::Float;
  static constexpr int kBlocks = 8;
  static constexpr Kind kKind = Kind::kScale;
  static constexpr int kZero = 128;
  static constexpr int64_t kHead = 0;
  static constexpr int64_t kBody = 34 * kCell;
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
  static Float scale(const Scales& s, int j, int) {
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
  static Float scale(const Scales& s, int, int half) {
    return V::load_float(s.body + kGroups * kCell + half * kCell);
  }
  static Float minimum(const Scales& s, int, int half) {
    return V::load_float(s.body + kGroups * kCell + (2 + half) * kCell);
  }
};
