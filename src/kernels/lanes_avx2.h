// The vector type of the AVX2 family; included inside an unnamed namespace after lanes.h.

struct Lanes256 : Lanes {
  static constexpr int kRegisters = 16;
  static constexpr int kTileRowsAtOnce = 3;

  static Float fma(Float a, Float b, Float c) {
    return (Float)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  }
  static Float fnma(Float a, Float b, Float c) {
    return (Float)_mm256_fnmadd_ps((__m256)a, (__m256)b, (__m256)c);
  }
  static Float larger(Float a, Float b) { return (Float)_mm256_max_ps((__m256)a, (__m256)b); }
  static Float broadcast(const float* from) { return (Float)_mm256_broadcast_ss(from); }
  static Int broadcast(const int32_t* from) { return (Int)_mm256_set1_epi32(*from); }
  static Float low_halves(Word w) {
    const __m256i low = _mm256_and_si256((__m256i)w, _mm256_set1_epi32(0xFFFF));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, low), 0x08);
    return (Float)_mm256_cvtph_ps(_mm256_castsi256_si128(packed));
  }
  static Float halves(const void* from) {
    return (Float)_mm256_cvtph_ps(_mm_loadu_si128(static_cast<const __m128i*>(from)));
  }
  // The second operand is the result where one is NaN.
  static Float clamp(Float x, Float least, Float most) {
    return (Float)_mm256_min_ps((__m256)most, _mm256_max_ps((__m256)least, (__m256)x));
  }
  static Int round(Float x) { return (Int)_mm256_cvtps_epi32((__m256)x); }
  static void store_int8(int8_t* to, Int codes) {
    const __m256i words = _mm256_packs_epi32((__m256i)codes, (__m256i)codes);
    const __m256i bytes = _mm256_packs_epi16(words, words);
    const int low = _mm256_cvtsi256_si32(bytes), high = _mm256_extract_epi32(bytes, 4);
    __builtin_memcpy(to, &low, 4);
    __builtin_memcpy(to + 4, &high, 4);
  }
  static void store_int8_of_four(int8_t* to, const Int* codes) {
    const __m256i low = _mm256_packs_epi32((__m256i)codes[0], (__m256i)codes[1]);
    const __m256i high = _mm256_packs_epi32((__m256i)codes[2], (__m256i)codes[3]);
    // Packing goes by halves of a register: four codes of each vector lie together.
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i all = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), all);
  }
  static Word lookup_iq4(Word indices) {
    const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(kIq4));
    return (Word)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), (__m256i)indices);
  }
};

inline __m256i broadcast4(const int8_t* a) {
  int32_t bits;
  __builtin_memcpy(&bits, a, 4);
  return _mm256_set1_epi32(bits);
}
