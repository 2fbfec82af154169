#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace wattle::inline quant {

/// Blocks as GGUF files hold them (github.com/ggml-org/ggml, docs/gguf.md): little-endian, without padding.
/// `d`, `m` and `dmin` are IEEE halves (quant/half.h). Bytes of a file may be unaligned: copy a block out
/// with memcpy.
static_assert(std::endian::native == std::endian::little, "GGUF blocks are read as they lie in the file");

struct BlockQ4_0 {
  static constexpr size_t kWeights = 32;
  uint16_t d;
  uint8_t qs[16];
};
struct BlockQ4_1 {
  static constexpr size_t kWeights = 32;
  uint16_t d, m;
  uint8_t qs[16];
};
struct BlockQ5_0 {
  static constexpr size_t kWeights = 32;
  uint16_t d;
  uint8_t qh[4];
  uint8_t qs[16];
};
struct BlockQ5_1 {
  static constexpr size_t kWeights = 32;
  uint16_t d, m;
  uint8_t qh[4];
  uint8_t qs[16];
};
struct BlockQ8_0 {
  static constexpr size_t kWeights = 32;
  uint16_t d;
  int8_t qs[32];
};
struct BlockIQ4_NL {
  static constexpr size_t kWeights = 32;
  uint16_t d;
  uint8_t qs[16];
};
struct BlockQ2_K {
  static constexpr size_t kWeights = 256;
  uint8_t scales[16];
  uint8_t qs[64];
  uint16_t d, dmin;
};
struct BlockQ3_K {
  static constexpr size_t kWeights = 256;
  uint8_t hmask[32];
  uint8_t qs[64];
  uint8_t scales[12];
  uint16_t d;
};
struct BlockQ4_K {
  static constexpr size_t kWeights = 256;
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qs[128];
};
struct BlockQ5_K {
  static constexpr size_t kWeights = 256;
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t qh[32];
  uint8_t qs[128];
};
struct BlockQ6_K {
  static constexpr size_t kWeights = 256;
  uint8_t ql[128];
  uint8_t qh[64];
  int8_t scales[16];
  uint16_t d;
};
struct BlockIQ4_XS {
  static constexpr size_t kWeights = 256;
  uint16_t d, scales_h;
  uint8_t scales_l[4];
  uint8_t qs[128];
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22 &&
              sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144 &&
              sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136);

/// Values that the nibbles of IQ4_NL and IQ4_XS stand for.
inline constexpr int8_t kIQ4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

/// Scale and minimum (6 bits each) of the 32 weights `group` (0..7) of a Q4_K or Q5_K block.
struct ScaleMin {
  uint8_t scale, min;
};
constexpr ScaleMin unpack_scale_min(const uint8_t (&scales)[12], size_t group) {
  if (group < 4) {
    return {static_cast<uint8_t>(scales[group] & 63), static_cast<uint8_t>(scales[group + 4] & 63)};
  }
  return {static_cast<uint8_t>((scales[group + 4] & 15) | scales[group - 4] >> 6 << 4),
          static_cast<uint8_t>(scales[group + 4] >> 4 | scales[group] >> 6 << 4)};
}

/// Scale (0..63, to be read as value - 32) of the 16 weights `group` (0..15) of a Q3_K block.
constexpr int unpack_q3_scale(const uint8_t (&scales)[12], size_t group) {
  const int low = group < 8 ? scales[group] & 15 : scales[group - 8] >> 4;
  return low | (scales[8 + group % 4] >> (2 * (group / 4)) & 3) << 4;
}

/// Scale (0..63, to be read as value - 32) of the 32 weights `group` (0..7) of an IQ4_XS block.
constexpr int unpack_iq4_scale(const BlockIQ4_XS& block, size_t group) {
  return (block.scales_l[group / 2] >> (4 * (group % 2)) & 15) | (block.scales_h >> (2 * group) & 3) << 4;
}

}  // namespace wattle::inline quant
