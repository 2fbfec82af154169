// The vector type of the NEON family; included inside an unnamed namespace after lanes.h.

struct LanesNeon : Lanes {
  static constexpr int kTileRowsAtOnce = 6;  // 12 integer and 12 float accumulators of 32 registers
  static constexpr bool kSignedBytes = true;

  static Float fma(Float a, Float b, Float c) {
    return (Float)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
  }
  static Float fnma(Float a, Float b, Float c) {
    return (Float)vfmsq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
  }
  static Float broadcast(const float* from) { return (Float)vld1q_dup_f32(from); }
  static Int broadcast(const int32_t* from) { return (Int)vld1q_dup_s32(from); }
  static Float low_halves(Word w) {
    return (Float)vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32((uint32x4_t)w)));
  }
  static Float halves(const void* from) {
    return (Float)vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(static_cast<const uint8_t*>(from))));
  }
  static Int round(Float x) { return (Int)vcvtnq_s32_f32((float32x4_t)x); }
  static int32_t max_int(Int v) { return vmaxvq_s32((int32x4_t)v); }
  static Word lookup_iq4(Word indices) { return (Word)vqtbl1q_u8(vld1q_u8(kIq4), (uint8x16_t)indices); }

  /// Bytes as signed numbers; full ones become q - 128.
  template <bool kFullBytes>
  static int8x16_t signed_bytes(Word w) {
    return (int8x16_t)(kFullBytes ? w ^ 0x80808080u : w);
  }
  /// The same four activations for each lane.
  static int8x16_t broadcast4(const int8_t* a) {
    int32_t bits;
    __builtin_memcpy(&bits, a, 4);
    return vreinterpretq_s8_s32(vdupq_n_s32(bits));
  }
};
