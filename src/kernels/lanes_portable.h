// The vector type of plain C++; included inside an unnamed namespace after lanes.h and fused.h.

struct LanesPortable : Lanes {
  static Float fma(Float a, Float b, Float c) { return fused_multiply_add(a, b, c); }
  static Float fnma(Float a, Float b, Float c) { return fused_multiply_add(-a, b, c); }
};
