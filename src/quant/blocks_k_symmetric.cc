#include <algorithm>
#include <array>
#include <cmath>

#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/fit.h"
#include "quant/half.h"

namespace wattle::inline quant {
namespace {

/// Two bits of weight i of Q3_K: 128 weights share 32 bytes, 32 weights a shift.
int two_bits(const uint8_t (&qs)[64], size_t i) {
  return qs[32 * (i / 128) + i % 32] >> (2 * (i % 128 / 32)) & 3;
}

int q6_value(const BlockQ6_K& block, size_t i) {
  const size_t half = i / 128, group = i % 128 / 32, lane = i % 32;
  const int low = block.ql[64 * half + 32 * (group % 2) + lane] >> (4 * (group / 2)) & 15;
  return (low | (block.qh[32 * half + lane] >> (2 * group) & 3) << 4) - 32;
}

/// A block of 256 weights as Q3_K and Q6_K see it: value = d scale q, with one signed scale a group of 16
/// weights.
struct SymmetricBlock {
  HalfScale d;
  std::array<int8_t, 16> scales;
  int8_t levels[256];
  float error = 0;
};

/// Finds a SymmetricBlock of levels kLow .. -kLow - 1 with scales kLeast .. -kLeast - 1: fits each group by
/// itself, rounds its scale to a multiple of d, then refits d to the levels found, as long as that helps.
template <int kLow, int kLeast>
class SymmetricEncoder {
 public:
  SymmetricEncoder(std::span<const float> weights, std::span<const float> importance, size_t begin,
                   Search search) {
    const Importance factors(importance, begin, 256);
    float extreme = 0;
    for (size_t g = 0; g < 16; ++g) {
      groups_[g].take(weights, factors, begin + g * 16);
      fits_[g] = fit_scale(groups_[g], kLow, -kLow - 1, search);
      if (std::abs(fits_[g]) > std::abs(extreme)) extreme = fits_[g];
    }
    // The largest scale takes the one level that has no positive twin.
    best_ = rounded(HalfScale(extreme / kLeast));
    for (int round = 0; round < kRounds; ++round) {
      SymmetricBlock next = refitted(best_);
      if (!(next.error < best_.error)) break;
      best_ = next;
    }
  }

  const SymmetricBlock& block() const { return best_; }

 private:
  static constexpr int kRounds = 3;

  /// The block with this d: for each group the scale of least error near its own fit.
  SymmetricBlock rounded(HalfScale d) const {
    SymmetricBlock block;
    block.d = d;
    for (size_t g = 0; g < 16; ++g) {
      const int scale = to_level(fits_[g] * inverse_of(d.value), kLeast, -kLeast - 1);
      float least = -1;
      for (int s = std::max(scale - 1, kLeast); s <= std::min(scale + 1, -kLeast - 1); ++s) {
        const float error = groups_[g].error(d.value * static_cast<float>(s), 0, kLow, -kLow - 1);
        if (least >= 0 && !(error < least)) continue;
        least = error;
        block.scales[g] = static_cast<int8_t>(s);
      }
      block.error += least;
      groups_[g].levels(d.value * block.scales[g], 0, kLow, -kLow - 1, 0, block.levels + g * 16);
    }
    return block;
  }

  /// Least squares for d with levels and scales held, then everything rounded anew.
  SymmetricBlock refitted(const SymmetricBlock& block) const {
    double aa = 0, ax = 0;
    for (size_t i = 0; i < 256; ++i) {
      const double w = groups_[i / 16].w[i % 16], a = block.scales[i / 16] * block.levels[i];
      aa += w * a * a;
      ax += w * a * groups_[i / 16].x[i % 16];
    }
    return aa > 0 ? rounded(HalfScale(static_cast<float>(ax / aa))) : block;
  }

  std::array<Group<16>, 16> groups_;
  std::array<float, 16> fits_;
  SymmetricBlock best_;
};

constexpr Search kSearch3{0.7f, 0.05f, 13, 3};
constexpr Search kSearch6{0.95f, 0.0125f, 9, 3};

/// Packs sixteen scales -32..31 as 6 bits each; the inverse of unpack_q3_scale.
void pack_q3_scales(const std::array<int8_t, 16>& scales, uint8_t (&packed)[12]) {
  for (size_t g = 0; g < 16; ++g) {
    const int code = scales[g] + 32;
    packed[g % 8] |= static_cast<uint8_t>((code & 15) << (g < 8 ? 0 : 4));
    packed[8 + g % 4] |= static_cast<uint8_t>((code >> 4) << (2 * (g / 4)));
  }
}

}  // namespace

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

void decode_q6_k(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockQ6_K>(bytes, weights, [](const BlockQ6_K& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 256; ++i) {
      w[i] = d * static_cast<float>(block.scales[i / 16]) * static_cast<float>(q6_value(block, i));
    }
  });
}

WATTLE_ENCODER void encode_q3_k(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ3_K>(weights, importance, bytes, [&](size_t begin) {
    const SymmetricEncoder<-4, -32> encoder(weights, importance, begin, kSearch3);
    const SymmetricBlock& found = encoder.block();
    BlockQ3_K block{};
    block.d = found.d.half;
    pack_q3_scales(found.scales, block.scales);
    for (size_t i = 0; i < 256; ++i) {
      const int code = found.levels[i] + 4;
      block.qs[32 * (i / 128) + i % 32] |= static_cast<uint8_t>((code & 3) << (2 * (i % 128 / 32)));
      block.hmask[i % 32] |= static_cast<uint8_t>((code >> 2) << (i / 32));
    }
    return block;
  });
}

WATTLE_ENCODER void encode_q6_k(std::span<const float> weights, std::span<const float> importance,
                                std::span<std::byte> bytes) {
  make_blocks<BlockQ6_K>(weights, importance, bytes, [&](size_t begin) {
    const SymmetricEncoder<-32, -128> encoder(weights, importance, begin, kSearch6);
    const SymmetricBlock& found = encoder.block();
    BlockQ6_K block{};
    block.d = found.d.half;
    std::copy(found.scales.begin(), found.scales.end(), block.scales);
    for (size_t i = 0; i < 256; ++i) {
      const int code = found.levels[i] + 32;
      const size_t half = i / 128, group = i % 128 / 32, lane = i % 32;
      block.ql[64 * half + 32 * (group % 2) + lane] |= static_cast<uint8_t>((code & 15) << (4 * (group / 2)));
      block.qh[32 * half + lane] |= static_cast<uint8_t>((code >> 4) << (2 * group));
    }
    return block;
  });
}

}  // namespace wattle::inline quant
