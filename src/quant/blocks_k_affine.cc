#include <algorithm>
#include <array>
#include <cmath>

#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/fit.h"
#include "quant/half.h"

namespace wattle::inline quant {
namespace {

/// Two bits of weight i of Q2_K and Q3_K: 128 weights share 32 bytes, 32 weights a shift.
int two_bits(const uint8_t (&qs)[64], size_t i) {
  return qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;
}

/// Four bits of weight i of Q4_K and Q5_K: 64 weights share 32 bytes, the first 32 in the low nibbles.
int four_bits(const uint8_t (&qs)[128], size_t i) {
  return qs[32 * (i / 64) + i % 32] >> (4 * (i / 32 % 2)) & 15;
}

/// A block of 256 weights as Q2_K, Q4_K and Q5_K see it: value = d scale q - dmin min, with one scale and one
/// minimum a group of kGroup weights.
template <size_t kGroup>
struct AffineBlock {
  static constexpr size_t kGroups = 256 / kGroup;
  HalfScale d, dmin;
  std::array<uint8_t, kGroups> scales, mins;
  uint8_t levels[256];
  float error = 0;
};

/// Finds an AffineBlock of levels 0 .. kTop with scales and minima 0 .. kMost: fits each group by itself,
/// rounds its scale and minimum to multiples of d and dmin, then refits d and dmin to the levels found, as
/// long as that helps.
template <size_t kGroup, int kTop, int kMost>
class AffineEncoder {
 public:
  using Block = AffineBlock<kGroup>;

  AffineEncoder(std::span<const float> weights, std::span<const float> importance, size_t begin,
                Search search) {
    const Importance factors(importance, begin, 256);
    float most_scale = 0, most_min = 0;
    for (size_t g = 0; g < Block::kGroups; ++g) {
      groups_[g].take(weights, factors, begin + g * kGroup);
      fits_[g] = fit_affine(groups_[g], kTop, true, search);
      most_scale = std::max(most_scale, fits_[g].scale);
      most_min = std::max(most_min, -fits_[g].offset);
    }
    best_ = rounded(HalfScale(most_scale / kMost), HalfScale(most_min / kMost));
    for (int round = 0; round < kRounds; ++round) {
      Block next = refitted(best_);
      if (!(next.error < best_.error)) break;
      best_ = next;
    }
  }

  const Block& block() const { return best_; }

 private:
  static constexpr int kRounds = 3;

  /// The block with these d and dmin: for each group the scale and minimum of least error near its own fit.
  Block rounded(HalfScale d, HalfScale dmin) const {
    Block block;
    block.d = d;
    block.dmin = dmin;
    for (size_t g = 0; g < Block::kGroups; ++g) {
      const int scale = to_level(fits_[g].scale * inverse_of(d.value), 0, kMost);
      const int min = to_level(-fits_[g].offset * inverse_of(dmin.value), 0, kMost);
      float least = -1;
      for (int s = std::max(scale - 1, 0); s <= std::min(scale + 1, kMost); ++s) {
        for (int m = std::max(min - 1, 0); m <= std::min(min + 1, kMost); ++m) {
          const float error =
              groups_[g].error(d.value * static_cast<float>(s), -dmin.value * static_cast<float>(m), 0, kTop);
          if (least >= 0 && !(error < least)) continue;
          least = error;
          block.scales[g] = static_cast<uint8_t>(s);
          block.mins[g] = static_cast<uint8_t>(m);
        }
      }
      block.error += least;
      groups_[g].levels(d.value * block.scales[g], -dmin.value * block.mins[g], 0, kTop, 0,
                        block.levels + g * kGroup);
    }
    return block;
  }

  /// Least squares for d and dmin with levels, scales and minima held, then everything rounded anew.
  Block refitted(const Block& block) const {
    double aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    for (size_t g = 0; g < Block::kGroups; ++g) {
      const double scale = block.scales[g], min = block.mins[g];
      for (size_t i = 0; i < kGroup; ++i) {
        const double w = groups_[g].w[i], x = groups_[g].x[i], a = scale * block.levels[g * kGroup + i];
        aa += w * a * a;
        ab += w * a * min;
        bb += w * min * min;
        ax += w * a * x;
        bx += w * min * x;
      }
    }
    const double determinant = aa * bb - ab * ab;
    if (!(determinant > 1e-9 * aa * bb)) return block;
    return rounded(HalfScale(static_cast<float>((ax * bb - ab * bx) / determinant)),
                   HalfScale(static_cast<float>((ab * ax - aa * bx) / determinant)));
  }

  std::array<Group<kGroup>, Block::kGroups> groups_;
  std::array<Affine, Block::kGroups> fits_;
  Block best_;
};

constexpr Search kSearch2{0.6f, 0.05f, 14, 3};
constexpr Search kSearch4{0.9f, 0.025f, 13, 3};
constexpr Search kSearch5{0.95f, 0.0125f, 13, 3};

/// Packs eight 6-bit scales and minima; the inverse of unpack_scale_min.
void pack_scale_min(const std::array<uint8_t, 8>& scales, const std::array<uint8_t, 8>& mins,
                    uint8_t (&packed)[12]) {
  for (size_t j = 0; j < 4; ++j) {
    packed[j] = static_cast<uint8_t>(scales[j] | scales[j + 4] >> 4 << 6);
    packed[j + 4] = static_cast<uint8_t>(mins[j] | mins[j + 4] >> 4 << 6);
    packed[j + 8] = static_cast<uint8_t>((scales[j + 4] & 15) | (mins[j + 4] & 15) << 4);
  }
}

void set_four_bits(const uint8_t (&levels)[256], uint8_t (&qs)[128]) {
  for (size_t i = 0; i < 128; ++i) {
    const size_t low = 64 * (i / 32) + i % 32;
    qs[i] = static_cast<uint8_t>((levels[low] & 15) | (levels[low + 32] & 15) << 4);
  }
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

WATTLE_ENCODER void encode_q2_k(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ2_K>(weights, importance, bytes, [&](size_t begin) {
    const AffineEncoder<16, 3, 15> encoder(weights, importance, begin, kSearch2);
    const auto& found = encoder.block();
    BlockQ2_K block{};
    block.d = found.d.half;
    block.dmin = found.dmin.half;
    for (size_t g = 0; g < 16; ++g)
      block.scales[g] = static_cast<uint8_t>(found.scales[g] | found.mins[g] << 4);
    for (size_t i = 0; i < 256; ++i) {
      block.qs[32 * (i / 128) + i % 32] |= static_cast<uint8_t>(found.levels[i] << (2 * (i % 128 / 32)));
    }
    return block;
  });
}

WATTLE_ENCODER void encode_q4_k(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ4_K>(weights, importance, bytes, [&](size_t begin) {
    const AffineEncoder<32, 15, 63> encoder(weights, importance, begin, kSearch4);
    const auto& found = encoder.block();
    BlockQ4_K block{};
    block.d = found.d.half;
    block.dmin = found.dmin.half;
    pack_scale_min(found.scales, found.mins, block.scales);
    set_four_bits(found.levels, block.qs);
    return block;
  });
}

WATTLE_ENCODER void encode_q5_k(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ5_K>(weights, importance, bytes, [&](size_t begin) {
    const AffineEncoder<32, 31, 63> encoder(weights, importance, begin, kSearch5);
    const auto& found = encoder.block();
    BlockQ5_K block{};
    block.d = found.d.half;
    block.dmin = found.dmin.half;
    pack_scale_min(found.scales, found.mins, block.scales);
    set_four_bits(found.levels, block.qs);
    for (size_t i = 0; i < 256; ++i)
      block.qh[i % 32] |= static_cast<uint8_t>((found.levels[i] >> 4) << (i / 32));
    return block;
  });
}

}  // namespace wattle::inline quant
