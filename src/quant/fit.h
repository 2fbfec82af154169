#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "quant/half.h"

namespace wattle::inline quant {

/// Weighted least-squares fits of one group of weights to a small integer grid: what the encoders search
/// with. Eight lanes of the compiler's portable vectors: the same arithmetic, and so the same bytes, for
/// every instruction set (this code is compiled without fused multiply-add).
using Lanes = float __attribute__((vector_size(32)));
inline constexpr size_t kLanes = 8;

[[gnu::always_inline]] inline Lanes load(const float* from) {
  Lanes lanes;
  std::memcpy(&lanes, from, sizeof lanes);
  return lanes;
}
[[gnu::always_inline]] inline void store(Lanes lanes, float* to) {
  std::memcpy(to, &lanes, sizeof lanes);
}
[[gnu::always_inline]] inline float sum(Lanes v) {
  return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}
[[gnu::always_inline]] inline Lanes all(float value) {
  return Lanes{} + value;
}

/// v limited to [low, high] (NaN gives low) and rounded to the nearest integer, ties to even.
/// Adding 1.5 * 2^23 leaves no room for a fraction in a float; limits must be below 2^22.
[[gnu::always_inline]] inline Lanes to_level(Lanes v, float low, float high) {
  v = v > low ? v : all(low);
  v = v < high ? v : all(high);
  return (v + 0x1.8p23f) - 0x1.8p23f;
}
inline int to_level(float v, int low, int high) {
  return static_cast<int>(to_level(all(v), static_cast<float>(low), static_cast<float>(high))[0]);
}

/// The half nearest to `value` that is finite, and what it decodes to.
struct HalfScale {
  uint16_t half = 0;
  float value = 0;

  HalfScale() = default;
  explicit HalfScale(float wanted)
      : half(half_from_float(std::clamp(wanted, -65504.0f, 65504.0f))), value(float_from_half(half)) {}
};

/// 1 / scale, or 0 where that is not finite: everything then takes the level of zero.
inline float inverse_of(float scale) {
  const float inverse = 1.0f / scale;
  return std::isfinite(inverse) ? inverse : 0.0f;
}

/// The factors of squared errors in one block: the caller's importance brought to a mean of one in the block,
/// so that sums of them stay in range, plus a little, so that a column that a calibration text never used is
/// not left to chance. All alike without importance, or where it is zero in the whole block.
class Importance {
 public:
  Importance(std::span<const float> factors, size_t begin, size_t count) : factors_(factors) {
    if (factors.empty()) return;
    double total = 0;
    for (size_t i = begin; i < begin + count; ++i) total += factors[i];
    if (total > 0 && std::isfinite(total)) multiplier_ = static_cast<double>(count) / total;
  }
  float factor(size_t i) const {
    return multiplier_ > 0 ? static_cast<float>(factors_[i] * multiplier_) + kLeast : 1.0f;
  }

 private:
  static constexpr float kLeast = 1e-3f;
  std::span<const float> factors_;
  double multiplier_ = 0;
};

/// A group of weights to be encoded with the factors of their squared errors.
template <size_t N>
struct Group {
  alignas(32) float x[N];
  alignas(32) float w[N];

  /// Takes weights [begin, begin + N) of a row; `importance` is that of the block they are in.
  void take(std::span<const float> weights, const Importance& importance, size_t begin) {
    std::copy_n(weights.data() + begin, N, x);
    for (size_t i = 0; i < N; ++i) w[i] = importance.factor(begin + i);
  }

  /// The value of largest magnitude, with its sign.
  float extreme() const {
    float found = 0;
    for (const float value : x) {
      if (std::abs(value) > std::abs(found)) found = value;
    }
    return found;
  }

  /// Sum of w (x - scale q - offset)^2 with q the best levels of [low, high] for this scale.
  float error(float scale, float offset, float low, float high) const {
    const float inverse = inverse_of(scale);
    Lanes total{};
    for (size_t i = 0; i < N; i += kLanes) {
      const Lanes value = load(x + i) - offset;
      const Lanes rest = value - to_level(value * inverse, low, high) * scale;
      total += load(w + i) * rest * rest;
    }
    return sum(total);
  }

  /// The best levels of [low, high] for this scale and offset, less `zero`, as unsigned bytes or signed ones.
  template <typename Integer>
  void levels(float scale, float offset, int low, int high, int zero, Integer* q) const {
    const float inverse = inverse_of(scale);
    for (size_t i = 0; i < N; i += kLanes) {
      const Lanes level =
          to_level((load(x + i) - offset) * inverse, static_cast<float>(low), static_cast<float>(high));
      for (size_t lane = 0; lane < kLanes; ++lane)
        q[i + lane] = static_cast<Integer>(static_cast<int>(level[lane]) - zero);
    }
  }
};

/// Which scales fit_scale and fit_affine try: the extreme value falls on `first`, `first + step`, ... of its
/// level (as fractions of the levels' span), `count` of them; the best is then refined by `rounds` of least
/// squares.
struct Search {
  float first, step;
  int count, rounds;
};

/// The scale d that minimises the sum of w (x - d q)^2 over integers low <= q <= high, by search; 0 for
/// zeros.
template <size_t N>
float fit_scale(const Group<N>& group, int low, int high, Search search) {
  const float extreme = group.extreme();
  const float lowest = static_cast<float>(low), highest = static_cast<float>(high);
  float best_scale = 0, best_gain = 0;
  // For given levels the best scale is Sxq / Sqq and the error falls by Sxq^2 / Sqq.
  const auto consider = [&](float inverse) {
    Lanes xq{}, qq{};
    for (size_t i = 0; i < N; i += kLanes) {
      const Lanes x = load(group.x + i);
      const Lanes q = to_level(x * inverse, lowest, highest), wq = load(group.w + i) * q;
      xq += wq * x;
      qq += wq * q;
    }
    const float sxq = sum(xq), sqq = sum(qq);
    if (!(sqq > 0)) return false;
    const float gain = sxq / sqq * sxq;
    if (!(gain > best_gain)) return false;
    best_gain = gain;
    best_scale = sxq / sqq;
    return true;
  };
  const float unit = inverse_of(extreme);
  if (unit == 0) return 0;
  for (int i = 0; i < search.count; ++i) {
    const float stretch = search.first + search.step * static_cast<float>(i);
    consider(lowest * stretch * unit);
    consider(highest * stretch * unit);
  }
  for (int round = 0; round < search.rounds && best_scale != 0 && consider(inverse_of(best_scale)); ++round) {
  }
  return best_scale;
}

struct Affine {
  float scale = 0, offset = 0;
};

/// Scale d >= 0 and offset m that minimise the sum of w (x - d q - m)^2 over integers 0 <= q <= high, by
/// search. With `offset_below_zero` m <= 0, as blocks demand that store the minimum as a positive number.
template <size_t N>
Affine fit_affine(const Group<N>& group, int high, bool offset_below_zero, Search search) {
  const auto [lowest, highest] = std::minmax_element(group.x, group.x + N);
  const float base = offset_below_zero ? std::min(*lowest, 0.0f) : *lowest;
  const float span = *highest - base, top = static_cast<float>(high);
  const float unit = inverse_of(span);
  if (unit == 0) return {0, base};
  // Sums are taken of y = x - base, so that a large common offset costs no digits.
  Lanes sum_w{}, sum_y{};
  for (size_t i = 0; i < N; i += kLanes) {
    const Lanes w = load(group.w + i);
    sum_w += w;
    sum_y += w * (load(group.x + i) - base);
  }
  const float sw = sum(sum_w), sy = sum(sum_y);
  Affine best{0, 0};
  float best_gain = 0;
  const auto consider = [&](float inverse, float offset) {
    Lanes sum_q{}, sum_qq{}, sum_yq{};
    for (size_t i = 0; i < N; i += kLanes) {
      const Lanes y = load(group.x + i) - base;
      const Lanes q = to_level((y - offset) * inverse, 0, top), wq = load(group.w + i) * q;
      sum_q += wq;
      sum_qq += wq * q;
      sum_yq += wq * y;
    }
    const float sq = sum(sum_q), sqq = sum(sum_qq), syq = sum(sum_yq);
    if (!(sqq > 0)) return false;
    const float determinant = sw * sqq - sq * sq;
    const bool solvable = determinant > 0;  // else all weights are on one level
    Affine fit;
    if (solvable) fit = {(sw * syq - sy * sq) / determinant, (sqq * sy - sq * syq) / determinant};
    if (offset_below_zero && (!solvable || base + fit.offset > 0)) {
      // The offset stops at zero and the scale takes what is left.
      fit.offset = -base;
      fit.scale = (syq - fit.offset * sq) / sqq;
    }
    if (!(fit.scale > 0)) return false;
    const float gain = 2 * (fit.scale * syq + fit.offset * sy) - fit.scale * fit.scale * sqq -
                       2 * fit.scale * fit.offset * sq - fit.offset * fit.offset * sw;
    if (!(gain > best_gain)) return false;
    best_gain = gain;
    best = fit;
    return true;
  };
  for (int i = 0; i < search.count; ++i) {
    const float levels = top * (search.first + search.step * static_cast<float>(i));
    consider(levels * unit, 0);
    // The same scale with the lowest value cut off as far as the highest.
    consider(levels * unit, (span - top * span / levels) / 2);
  }
  for (int round = 0;
       round < search.rounds && best.scale > 0 && consider(inverse_of(best.scale), best.offset); ++round) {
  }
  return {best.scale, base + best.offset};
}

}  // namespace wattle::inline quant
