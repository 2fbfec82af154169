// The vector type of plain C++; included inside an unnamed namespace after lanes.h and fused.h.

struct LanesPortable : Lanes {
  static Float fma(Float a, Float b, Float c) { return fused_multiply_add(a, b, c); }
  static Float fnma(Float a, Float b, Float c) { return fused_multiply_add(-a, b, c); }

  static Float dot_bf16(Float acc, Word w, const float* pair) {
    const Word x = (Word)broadcast(pair);
    acc = fma((Float)(w << 16), (Float)(x << 16), acc);
    return fma((Float)(w & 0xFFFF0000u), (Float)(x & 0xFFFF0000u), acc);
  }
};
