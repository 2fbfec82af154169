#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/half.h"

namespace wattle {
namespace {

/// The 4-bit value of weight i: the first half of the block lies in the low nibbles, the second in the high
/// ones.
int nibble(const uint8_t (&qs)[16], size_t i) {
  return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}
int fifth_bit(const uint8_t (&qh)[4], size_t i) {
  return (qh[i / 8] >> (i % 8) & 1) << 4;
}

}  // namespace

void decode_q4_0(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ4_0>(bytes, weights, [](const BlockQ4_0& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 32; ++i) w[i] = d * static_cast<float>(nibble(block.qs, i) - 8);
  });
}

void decode_q4_1(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ4_1>(bytes, weights, [](const BlockQ4_1& block, float* w) {
    const float d = float_from_half(block.d), m = float_from_half(block.m);
    for (size_t i = 0; i < 32; ++i) w[i] = d * static_cast<float>(nibble(block.qs, i)) + m;
  });
}

void decode_q5_0(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ5_0>(bytes, weights, [](const BlockQ5_0& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 32; ++i) {
      w[i] = d * static_cast<float>((nibble(block.qs, i) | fifth_bit(block.qh, i)) - 16);
    }
  });
}

void decode_q5_1(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ5_1>(bytes, weights, [](const BlockQ5_1& block, float* w) {
    const float d = float_from_half(block.d), m = float_from_half(block.m);
    for (size_t i = 0; i < 32; ++i) {
      w[i] = d * static_cast<float>(nibble(block.qs, i) | fifth_bit(block.qh, i)) + m;
    }
  });
}

void decode_q8_0(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ8_0>(bytes, weights, [](const BlockQ8_0& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 32; ++i) w[i] = d * static_cast<float>(block.qs[i]);
  });
}

void decode_iq4_nl(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockIQ4_NL>(bytes, weights, [](const BlockIQ4_NL& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 32; ++i) w[i] = d * static_cast<float>(kIQ4Values[nibble(block.qs, i)]);
  });
}

}  // namespace wattle
