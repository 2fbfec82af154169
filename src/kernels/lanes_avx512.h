// The vector type of the AVX-512 family; included inside an unnamed namespace after lanes.h.

struct Lanes512 : Lanes {
  static constexpr int kTileRowsAtOnce = 6;
  static constexpr bool kFloatDots = true;
  static constexpr bool kScalesByPowers = true;

  static Float fma(Float a, Float b, Float c) {
    return (Float)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  }
  static Float fnma(Float a, Float b, Float c) {
    return (Float)_mm512_fnmadd_ps((__m512)a, (__m512)b, (__m512)c);
  }
  static Float broadcast(const float* from) { return (Float)_mm512_set1_ps(*from); }
  static Int broadcast(const int32_t* from) { return (Int)_mm512_set1_epi32(*from); }
  static Float low_halves(Word w) { return (Float)_mm512_cvtph_ps(_mm512_cvtepi32_epi16((__m512i)w)); }
  static Float halves(const void* from) {
    return (Float)_mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(from)));
  }
  // The second operand is the result where one is NaN.
  static Float clamp(Float x, Float least, Float most) {
    return (Float)_mm512_min_ps((__m512)most, _mm512_max_ps((__m512)least, (__m512)x));
  }
  static Float scale_by_power(Float x, Float n) { return (Float)_mm512_scalef_ps((__m512)x, (__m512)n); }
  static Int round(Float x) { return (Int)_mm512_cvtps_epi32((__m512)x); }
  static void store_int8(int8_t* to, Int codes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8((__m512i)codes));
  }
  static void store_int8_of_four(int8_t* to, const Int* codes) {
    const __m512i low = _mm512_packs_epi32((__m512i)codes[0], (__m512i)codes[1]);
    const __m512i high = _mm512_packs_epi32((__m512i)codes[2], (__m512i)codes[3]);
    // Packing goes by quarters of a register: four codes of each vector lie together.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi32(order, _mm512_packs_epi16(low, high)));
  }
  // Compilers make two instructions of the comparison.
  static Float larger(Float a, Float b) { return (Float)_mm512_max_ps((__m512)a, (__m512)b); }
  static Word merge_bits(Word mask, Word a, Word b) {
    return (Word)_mm512_ternarylogic_epi32((__m512i)mask, (__m512i)a, (__m512i)b, 0xCA);
  }
  static int32_t max_int(Int v) { return _mm512_reduce_max_epi32((__m512i)v); }
  static Word lookup_iq4(Word indices) {
    const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4));
    return (Word)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), (__m512i)indices);
  }
};

inline __m512i broadcast4(const int8_t* a) {
  int32_t bits;
  __builtin_memcpy(&bits, a, 4);
  return _mm512_set1_epi32(bits);
}
