// The vector type of plain C++; included inside an unnamed namespace after lanes.h and fused.h.

struct LanesPortable : Lanes {
  static constexpr int kRegisters = 16;

  static Float fma(Float a, Float b, Float c) { return fused_multiply_add(a, b, c); }
  static Float fnma(Float a, Float b, Float c) { return fused_multiply_add(-a, b, c); }

  /// Unsigned weights, of which this needs nothing but that: the same for full bytes.
  template <bool kFullBytes>
  static Int dot(Int acc, Word w, const int8_t* a) {
    for (int byte = 0; byte < 4; ++byte) acc += (Int)((w >> (8 * byte)) & 0xFFu) * int32_t{a[byte]};
    return acc;
  }
  /// Signed weights.
  static Int dot_positive(Int acc, Word w, const int8_t* a) {
    for (int byte = 0; byte < 4; ++byte) acc += ((Int)(w << (24 - 8 * byte)) >> 24) * int32_t{a[byte]};
    return acc;
  }
};
