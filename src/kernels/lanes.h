// A vector type of kLaneCount 32-bit lanes in the compiler's vector extension: what every instruction set
// inherits, and nearly the whole of the portable one. Included inside the unnamed namespace of each
// instruction set's file, which has defined kLaneCount (no template parameter: GCC 12 loses vector types
// whose size depends on one).
//
// Every instruction set gives the same bits: where a product is added, code says whether it is rounded first
// (no compiler may choose: -ffp-contract=off) and uses fma() or fnma() where it is not, and sums over lanes
// have kSumLanes of them whatever the width (shuffle.h). Products of bfloat16 alone are not held to it.

#include "kernels/shuffle.h"

struct Lanes {
  static constexpr int kLanes = kLaneCount;
  typedef uint32_t Word __attribute__((vector_size(kLaneCount * 4)));
  typedef int32_t Int __attribute__((vector_size(kLaneCount * 4)));
  typedef float Float __attribute__((vector_size(kLaneCount * 4)));
  typedef uint16_t Shorts __attribute__((vector_size(kLaneCount * 4)));
  typedef uint8_t Bytes __attribute__((vector_size(kLaneCount * 4)));

  /// Vector registers of the instruction set.
  static constexpr int kRegisters = 32;
  /// Whether there are registers for tiles that unpack weights of any format in them (tiles.h).
  static constexpr bool kDirect = false;
  /// Whether dot products begin at kFloatStart and fma() is one instruction.
  static constexpr bool kFloatDots = false;
  /// Whether products of pairs of bfloat16 are one instruction, dot_bf16(); otherwise they are two of floats.
  static constexpr bool kBfloat16Pairs = false;
  /// Whether scale_by_power(x, n) = x * 2^n, n a whole number, is one instruction.
  static constexpr bool kScalesByPowers = false;
  /// Whether dot() takes full bytes for signed numbers. (dot_positive() takes signed bytes always, with other
  /// factors of 0 .. 127: no instruction set saturates those.)
  static constexpr bool kSignedBytes = false;

  static Word load(const void* from) {
    Word w;
    __builtin_memcpy(&w, from, sizeof w);
    return w;
  }
  static void store(void* to, Word w) { __builtin_memcpy(to, &w, sizeof w); }
  static Float load_float(const void* from) { return (Float)load(from); }
  static void store_float(void* to, Float f) { store(to, (Word)f); }
  // x - 0 is x for every x, x + 0 is not for -0: only the former is folded into a broadcast.
  static Float broadcast(const float* from) { return *from - Float{}; }
  static Int broadcast(const int32_t* from) { return *from - Int{}; }
  static Float to_float(Int i) { return __builtin_convertvector(i, Float); }
  static Word multiply16(Word a, Word b) { return (Word)((Shorts)a * (Shorts)b); }
  static Word add8(Word a, Word b) { return (Word)((Bytes)a + (Bytes)b); }

  /// The larger one; b where either is no number.
  static Float larger(Float a, Float b) { return a > b ? a : b; }
  /// Bits of `a` where the mask has them, of `b` elsewhere.
  static Word merge_bits(Word mask, Word a, Word b) { return (a & mask) | (b & ~mask); }

  /// The low 16 bits of each lane as IEEE halves. Moving exponent and mantissa to their places gives 2^-112
  /// times the value, for subnormals too.
  static Float low_halves(Word w) {
    const Word size = (w & 0x7FFFu) << 13;
    const Float finite = (Float)size * 0x1p112f;
    const Word special = size | 0x7F800000u;
    const Word magnitude = size >= 0x0F800000u ? special : (Word)finite;
    return (Float)(magnitude | ((w & 0x8000u) << 16));
  }
  /// kLanes halves side by side.
  static Float halves(const void* from) {
    uint16_t codes[kLaneCount];
    __builtin_memcpy(codes, from, sizeof codes);
    Word w = {};
    for (int i = 0; i < kLaneCount; ++i) w[i] = codes[i];
    return low_halves(w);
  }

  /// NaN stays NaN.
  static Float clamp(Float x, Float least, Float most) {
    const Float y = x < least ? least : x;
    return y > most ? most : y;
  }

  /// Round to nearest even, for magnitudes below 2^22.
  static Int round(Float x) {
    const Float magic = kFloatStartValue - Float{};
    return (Int)(x + magic) - (Int)magic;
  }
  static void store_int8(int8_t* to, Int codes) {
    for (int i = 0; i < kLaneCount; ++i) to[i] = static_cast<int8_t>(codes[i]);
  }
  /// Four vectors of codes between -128 and 127, one after the other. An instruction set hides this one where
  /// four take fewer instructions than one at a time.
  static void store_int8_of_four(int8_t* to, const Int* codes) {
    for (int vector = 0; vector < 4; ++vector) {
      for (int i = 0; i < kLaneCount; ++i)
        to[vector * kLaneCount + i] = static_cast<int8_t>(codes[vector][i]);
    }
  }
  /// Lane i is the reduction by `op` of all lanes of v[i]: halves of two vectors at a time, a transpose and a
  /// reduction in one (3 operations a vector instead of about 9).
  template <int kHalf = kLaneCount / 2, class Op>
  static __attribute__((always_inline)) inline Int reduce_each(Int (&v)[kLaneCount], Op op) {
    if constexpr (kHalf == 0) {
      return v[0];
    } else {
#pragma GCC unroll 8
      for (int i = 0; i < kHalf; ++i) {
        v[i] = op(merge_lanes<kHalf, false, false>(v[i], v[i + kHalf]),
                  merge_lanes<kHalf, true, true>(v[i], v[i + kHalf]));
      }
      return reduce_each<kHalf / 2>(v, op);
    }
  }
  static int32_t max_int(Int v) {
    int32_t most = v[0];
    for (int i = 1; i < kLaneCount; ++i) most = v[i] > most ? v[i] : most;
    return most;
  }

  /// Each byte, below 16, through the table of IQ4_NL plus 128.
  static constexpr uint8_t kIq4[16] = {1,   24,  45,  63,  79,  93,  106, 118,
                                       129, 141, 153, 166, 181, 197, 217, 241};
  static Word lookup_iq4(Word indices) {
    Bytes b = (Bytes)indices;
    for (unsigned i = 0; i < sizeof b; ++i) b[i] = kIq4[b[i]];
    return (Word)b;
  }
};
