// The furniture of AVX2 with AVX-VNNI; included inside an unnamed namespace after lanes_avx2.h and a function
// dpbusd(sums, unsigned bytes, signed bytes): the instruction, or its arithmetic where tests stand in for it.

struct Avx2Vnni : Lanes256 {
  static constexpr bool kSignedBytes = false;
  static constexpr bool kFloatDots = true;  // without VNNI no gain, and a tenth lost at one row
  static constexpr int kTileRowsAtOnce = 6;

  template <bool kFullBytes>
  static Int dot(Int acc, Word w, const int8_t* a) {
    return (Int)dpbusd((__m256i)acc, (__m256i)w, broadcast4(a));
  }
  static Int dot_positive(Int acc, Word w, const int8_t* a) {
    return (Int)dpbusd((__m256i)acc, broadcast4(a), (__m256i)w);
  }
};
