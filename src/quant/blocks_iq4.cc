#include <cmath>

#include "quant/blocks.h"
#include "quant/codec.h"
#include "quant/fit.h"
#include "quant/half.h"

namespace wattle::inline quant {
namespace {

constexpr Search kTableSearch{0.85f, 0.025f, 15, 3};

/// Where values of kIQ4Values change: v lies on level q when q of these are below it.
constexpr float border(size_t level) {
  return (static_cast<float>(kIQ4Values[level]) + static_cast<float>(kIQ4Values[level + 1])) / 2;
}

struct TableLevels {
  Lanes q, value;  ///< level 0..15 and its value in kIQ4Values
};

/// The levels nearest to v. Counting the borders below v needs no branches.
[[gnu::always_inline]] inline TableLevels nearest(Lanes v) {
  TableLevels found{Lanes{}, all(kIQ4Values[0])};
  for (size_t level = 0; level < 15; ++level) {
    const Lanes step = all(static_cast<float>(kIQ4Values[level + 1] - kIQ4Values[level]));
    const auto above = v > border(level);
    found.q += above ? all(1) : Lanes{};
    found.value += above ? step : Lanes{};
  }
  return found;
}

/// The scale d that minimises the sum of w (x - d T[q])^2 (see fit_scale).
float fit_table_scale(const Group<32>& group, Search search) {
  float best_scale = 0, best_gain = 0;
  const auto consider = [&](float inverse) {
    Lanes xt{}, tt{};
    for (size_t i = 0; i < 32; i += kLanes) {
      const Lanes x = load(group.x + i), t = nearest(x * inverse).value, wt = load(group.w + i) * t;
      xt += wt * x;
      tt += wt * t;
    }
    const float sxt = sum(xt), stt = sum(tt), gain = sxt / stt * sxt;
    if (!(gain > best_gain)) return false;
    best_gain = gain;
    best_scale = sxt / stt;
    return true;
  };
  const float unit = inverse_of(group.extreme());
  if (unit == 0) return 0;
  for (int i = 0; i < search.count; ++i) {
    const float stretch = search.first + search.step * static_cast<float>(i);
    consider(static_cast<float>(kIQ4Values[0]) * stretch * unit);
    consider(static_cast<float>(kIQ4Values[15]) * stretch * unit);
  }
  for (int round = 0; round < search.rounds && best_scale != 0 && consider(inverse_of(best_scale)); ++round) {
  }
  return best_scale;
}

}  // namespace

void decode_iq4_nl(std::span<const std::byte> bytes, std::span<float> weights) {
  for_each_block<BlockIQ4_NL>(bytes, weights, [](const BlockIQ4_NL& block, float* w) {
    const float d = float_from_half(block.d);
    for (size_t i = 0; i < 16; ++i) {
      w[i] = d * static_cast<float>(kIQ4Values[block.qs[i] & 15]);
      w[i + 16] = d * static_cast<float>(kIQ4Values[block.qs[i] >> 4]);
    }
  });
}

WATTLE_ENCODER void encode_iq4_nl(std::span<const float> weights, std::span<const float> importance,
                                  std::span<std::byte> bytes) {
  make_blocks<BlockIQ4_NL>(weights, importance, bytes, [&](size_t begin) {
    Group<32> group;
    group.take(weights, Importance(importance, begin, 32), begin);
    BlockIQ4_NL block;
    const HalfScale d(fit_table_scale(group, kTableSearch));
    block.d = d.half;
    const float inverse = inverse_of(d.value);
    alignas(32) float q[32];
    for (size_t i = 0; i < 32; i += kLanes) store(nearest(load(group.x + i) * inverse).q, q + i);
    for (size_t i = 0; i < 16; ++i) {
      block.qs[i] = static_cast<uint8_t>(static_cast<int>(q[i]) | static_cast<int>(q[i + 16]) << 4);
    }
    return block;
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

}  // namespace wattle::inline quant
