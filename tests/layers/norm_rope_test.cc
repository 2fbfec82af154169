#include <cmath>
#include <complex>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "layers/norm.h"
#include "layers/rope.h"

namespace wattle {
namespace {

std::vector<float> random_floats(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.5f, 2);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = normal(random);
  return values;
}

TEST(Norm, LayerNormMatchesDoublePrecision) {
  for (const int64_t n : {1, 7, 16, 33, 384}) {
    std::vector<float> x = random_floats(3 * n, 1);
    const std::vector<float> weight = random_floats(n, 2), bias = random_floats(n, 3), before = x;
    Work work;
    Norm(NormKind::kLayer, 1e-5f, weight, bias)({x.data(), 3, n}, {x.data(), 3, n}, work);
    for (int64_t row = 0; row < 3; ++row) {
      double mean = 0, variance = 0;
      for (int64_t i = 0; i < n; ++i) mean += before[row * n + i] / static_cast<double>(n);
      for (int64_t i = 0; i < n; ++i)
        variance += std::pow(before[row * n + i] - mean, 2) / static_cast<double>(n);
      for (int64_t i = 0; i < n; ++i) {
        const double want = (before[row * n + i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i];
        ASSERT_NEAR(x[row * n + i], want, 1e-5 * (1 + std::abs(want)));
      }
    }
  }
}

TEST(Norm, RmsNormAndItsSumMatchDoublePrecision) {
  for (const int64_t n : {1, 7, 33, 640}) {
    const std::vector<float> x = random_floats(2 * n, 1), weight = random_floats(n, 2);
    std::vector<float> out(x.size()), sum = random_floats(2 * n, 4);
    const std::vector<float> before = sum;
    Work work;
    const Norm norm(NormKind::kRms, 1e-6f, weight);
    norm({x.data(), 2, n}, {out.data(), 2, n}, work);
    std::vector<float> replaced = x;
    norm.add({replaced.data(), 2, n}, {sum.data(), 2, n}, work);
    for (int64_t row = 0; row < 2; ++row) {
      double squares = 0;
      for (int64_t i = 0; i < n; ++i) squares += std::pow(x[row * n + i], 2) / static_cast<double>(n);
      for (int64_t i = 0; i < n; ++i) {
        const double want = x[row * n + i] / std::sqrt(squares + 1e-6) * weight[i];
        ASSERT_NEAR(out[row * n + i], want, 1e-5 * (1 + std::abs(want)));
        ASSERT_NEAR(sum[row * n + i], before[row * n + i] + want, 1e-5 * (1 + std::abs(want)));
      }
    }
  }
}

// A pair (x, y) is a complex number turned by position * base^(-2i/n).
TEST(Rope, TurnsPairsAsComplexNumbers) {
  constexpr int64_t kDimensions = 16;
  const std::vector<int64_t> positions{0, 1, 5, 4000};
  const std::vector<float> factors{1, 2, 3, 4, 5, 6, 7, 8};
  for (const RopePairs pairs : {RopePairs::kNeighbours, RopePairs::kHalves}) {
    Rope rope(kDimensions, 500, pairs, factors, 0.5);
    rope.set_positions(positions);
    for (size_t row = 0; row < positions.size(); ++row) {
      std::vector<float> head = random_floats(kDimensions, 9);
      const std::vector<float> before = head;
      rope.rotate(static_cast<int64_t>(row), head.data());
      for (int64_t i = 0; i < kDimensions / 2; ++i) {
        const int64_t a = pairs == RopePairs::kHalves ? i : 2 * i,
                      b = pairs == RopePairs::kHalves ? i + 8 : 2 * i + 1;
        const double angle = 0.5 * static_cast<double>(positions[row]) / factors[i] *
                             std::pow(500.0, -2.0 * static_cast<double>(i) / kDimensions);
        const auto want = std::complex<double>(before[a], before[b]) * std::polar(1.0, angle);
        ASSERT_NEAR(head[a], want.real(), 1e-5);
        ASSERT_NEAR(head[b], want.imag(), 1e-5);
      }
    }
  }
}

TEST(Rope, LongSequencesHaveTheirOwnFrequencies) {
  const std::vector<float> of_short{1, 2}, of_long{4, 8};
  Rope both(4, 500, RopePairs::kHalves, of_short), plain(4, 500, RopePairs::kHalves, of_short),
      stretched(4, 500, RopePairs::kHalves, of_long);
  both.set_long_factors(40, of_long);
  const std::vector<int64_t> positions{39, 3, 40}, lengths{40, 41, 41};
  both.set_positions(positions, lengths);
  plain.set_positions(positions);
  stretched.set_positions(positions);
  for (int64_t row = 0; row < 3; ++row) {
    std::vector<float> head{1, 2, 3, 4}, want = head;
    both.rotate(row, head.data());
    (row == 0 ? plain : stretched).rotate(row, want.data());
    EXPECT_EQ(head, want) << row;
  }
}

}  // namespace
}  // namespace wattle
