#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/half.h"

namespace wattle {
namespace {

/// Two bits of weight i of Q2_K and Q3_K: 128 weights share 32 bytes, 32 weights a shift.
int two_bits(const uint8_t (&qs)[64], size_t i) {
  return qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;
}

/// Four bits of weight i of Q4_K and Q5_K: 64 weights share 32 bytes, the first 32 in the low nibbles.
int four_bits(const uint8_t (&qs)[128], size_t i) {
  return qs[32 * (i / 64) + i % 32] >> (4 * (i / 32 % 2)) & 15;
}

int q6_value(const BlockQ6_K& block, size_t i) {
  const size_t half = i / 128, group = i % 128 / 32, lane = i % 32;
  const int low = block.ql[64 * half + 32 * (group % 2) + lane] >> (4 * (group / 2)) & 15;
  return (low | (block.qh[32 * half + lane] >> (2 * group) & 3) << 4) - 32;
}

}  // namespace

void decode_q2_k(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ2_K>(bytes, weights, [](const BlockQ2_K& block, float* w) {
    const float d = float_from_half(block.d), dmin = float_from_half(block.dmin);
    for (size_t i = 0; i < 256; ++i) {
      const uint8_t packed = block.scales[i / 16];
      const float scale = d * static_cast<float>(packed & 15), min = dmin * static_cast<float>(packed >> 4);
      w[i] = scale * static_cast<float>(two_bits(block.qs, i)) - min;
    }
  });
}

void decode_q3_k(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ3_K>(bytes, weights, [](const BlockQ3_K& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 256; ++i) {
      const float scale = d * static_cast<float>(unpack_q3_scale(block.scales, i / 16) - 32);
      const int q = two_bits(block.qs, i) | (block.hmask[i % 32] >> (i / 32) & 1) << 2;
      w[i] = scale * static_cast<float>(q - 4);
    }
  });
}

void decode_q4_k(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ4_K>(bytes, weights, [](const BlockQ4_K& block, float* w) {
    const float d = float_from_half(block.d), dmin = float_from_half(block.dmin);
    for (size_t i = 0; i < 256; ++i) {
      const ScaleMin group = unpack_scale_min(block.scales, i / 32);
      w[i] = d * group.scale * static_cast<float>(four_bits(block.qs, i)) - dmin * group.min;
    }
  });
}

void decode_q5_k(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ5_K>(bytes, weights, [](const BlockQ5_K& block, float* w) {
    const float d = float_from_half(block.d), dmin = float_from_half(block.dmin);
    for (size_t i = 0; i < 256; ++i) {
      const ScaleMin group = unpack_scale_min(block.scales, i / 32);
      const int q = four_bits(block.qs, i) | (block.qh[i % 32] >> (i / 32) & 1) << 4;
      w[i] = d * group.scale * static_cast<float>(q) - dmin * group.min;
    }
  });
}

void decode_q6_k(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ6_K>(bytes, weights, [](const BlockQ6_K& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 256; ++i) {
      w[i] = d * static_cast<float>(block.scales[i / 16]) * static_cast<float>(q6_value(block, i));
    }
  });
}

void decode_iq4_xs(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockIQ4_XS>(bytes, weights, [](const BlockIQ4_XS& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 256; ++i) {
      const float scale = d * static_cast<float>(unpack_iq4_scale(block, i / 32) - 32);
      const int q = block.qs[16 * (i / 32) + i % 16] >> (i % 32 < 16 ? 0 : 4) & 15;
      w[i] = scale * static_cast<float>(kIQ4Values[q]);
    }
  });
}

}  // namespace wattle
