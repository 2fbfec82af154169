#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/fit.h"
#include "quant/half.h"

namespace wattle::inline quant {
namespace {

constexpr Search kSymmetricSearch{0.8f, 0.025f, 19, 3};
constexpr Search kAffineSearch{0.9f, 0.025f, 13, 3};

/// The 4-bit value of weight i: the first half of the block lies in the low nibbles, the second in the high
/// ones.
int nibble(const uint8_t (&qs)[16], size_t i) {
  return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}
int fifth_bit(const uint8_t (&qh)[4], size_t i) {
  return (qh[i / 8] >> (i % 8) & 1) << 4;
}

void set_nibbles(const uint8_t (&levels)[32], uint8_t (&qs)[16]) {
  for (size_t i = 0; i < 16; ++i) qs[i] = static_cast<uint8_t>((levels[i] & 15) | (levels[i + 16] & 15) << 4);
}
void set_fifth_bits(const uint8_t (&levels)[32], uint8_t (&qh)[4]) {
  for (size_t i = 0; i < 4; ++i) qh[i] = 0;
  for (size_t i = 0; i < 32; ++i) qh[i / 8] |= static_cast<uint8_t>((levels[i] >> 4 & 1) << (i % 8));
}

/// Block Q4_0 or Q5_0 of weights [begin, begin + 32): levels -kHalf .. kHalf - 1 stored as 0 .. 2 kHalf - 1.
template <typename Block, int kHalf>
Block symmetric_block(std::span<const float> weights, std::span<const float> importance, size_t begin,
                      uint8_t (&levels)[32]) {
  Group<32> group;
  group.take(weights, Importance(importance, begin, 32), begin);
  Block block;
  const HalfScale d(fit_scale(group, -kHalf, kHalf - 1, kSymmetricSearch));
  block.d = d.half;
  group.levels(d.value, 0, -kHalf, kHalf - 1, -kHalf, levels);
  set_nibbles(levels, block.qs);
  return block;
}

/// Block Q4_1 or Q5_1 of weights [begin, begin + 32): levels 0 .. kTop.
template <typename Block, int kTop>
Block affine_block(std::span<const float> weights, std::span<const float> importance, size_t begin,
                   uint8_t (&levels)[32]) {
  Group<32> group;
  group.take(weights, Importance(importance, begin, 32), begin);
  Block block;
  const Affine fit = fit_affine(group, kTop, false, kAffineSearch);
  const HalfScale d(fit.scale), m(fit.offset);
  block.d = d.half;
  block.m = m.half;
  group.levels(d.value, m.value, 0, kTop, 0, levels);
  set_nibbles(levels, block.qs);
  return block;
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

WATTLE_ENCODER void encode_q4_0(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ4_0>(weights, importance, bytes, [&](size_t begin) {
    uint8_t levels[32];
    return symmetric_block<BlockQ4_0, 8>(weights, importance, begin, levels);
  });
}

WATTLE_ENCODER void encode_q5_0(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ5_0>(weights, importance, bytes, [&](size_t begin) {
    uint8_t levels[32];
    BlockQ5_0 block = symmetric_block<BlockQ5_0, 16>(weights, importance, begin, levels);
    set_fifth_bits(levels, block.qh);
    return block;
  });
}

WATTLE_ENCODER void encode_q4_1(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ4_1>(weights, importance, bytes, [&](size_t begin) {
    uint8_t levels[32];
    return affine_block<BlockQ4_1, 15>(weights, importance, begin, levels);
  });
}

WATTLE_ENCODER void encode_q5_1(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ5_1>(weights, importance, bytes, [&](size_t begin) {
    uint8_t levels[32];
    BlockQ5_1 block = affine_block<BlockQ5_1, 31>(weights, importance, begin, levels);
    set_fifth_bits(levels, block.qh);
    return block;
  });
}

/// The largest magnitude takes level 127: with 255 levels a search gains nothing.
WATTLE_ENCODER void encode_q8_0(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ8_0>(weights, importance, bytes, [&](size_t begin) {
    Group<32> group;
    group.take(weights, Importance({}, begin, 32), begin);
    BlockQ8_0 block;
    const HalfScale d(std::abs(group.extreme()) / 127);
    block.d = d.half;
    group.levels(d.value, 0, -127, 127, 0, block.qs);
    return block;
  });
}

}  // namespace wattle::inline quant
