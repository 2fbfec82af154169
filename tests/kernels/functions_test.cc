// Functions of rows under every instruction set that this machine runs, against double precision on dense
// grids.
#include <algorithm>
#include <bit>
#include <cmath>
#include <random>
#include <vector>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "kernels/elementwise.h"
#include "kernels/targets.h"

namespace wattle {
namespace {

class Functions : public testing::TestWithParam<Target> {
 protected:
  void SetUp() override { GetParam().use(); }
  void TearDown() override { Target::restore(); }
};

/// Largest error of `function` over a grid of float patterns and a dense grid of [low, high], against double
/// precision: absolute where the truth is under one and relative above.
double largest_error(ActivationFunction function, double (*exact)(double), double low, double high) {
  std::vector<float> grid;
  for (int i = 0; i <= 400000; ++i) grid.push_back(static_cast<float>(low + (high - low) * i / 400000));
  for (uint32_t bits = 0; bits < 0x7F800000u; bits += 40961) {
    const float value = std::bit_cast<float>(bits);
    if (value > high) break;
    grid.push_back(value);
    if (-value >= low) grid.push_back(-value);
  }
  std::vector<float> values = grid;
  apply_inplace(function, values);
  double largest = 0;
  for (size_t i = 0; i < grid.size(); ++i) {
    const double truth = exact(grid[i]);
    const double error = std::abs(values[i] - truth) / std::max(1.0, std::abs(truth));
    if (!(error <= largest)) largest = error;
  }
  return largest;
}

TEST_P(Functions, KeepTheirErrors) {
  const auto tanh_error = largest_error(
      ActivationFunction::kTanh, [](double x) { return std::tanh(x); }, -100, 100);
  EXPECT_LE(tanh_error, kTanhError);
  const auto silu_error = largest_error(
      ActivationFunction::kSilu, [](double x) { return x / (1 + std::exp(-x)); }, -200, 200);
  EXPECT_LE(silu_error, kSiluError);
  const auto gelu_error = largest_error(
      ActivationFunction::kGelu, [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }, -50,
      50);
  EXPECT_LE(gelu_error, kGeluError);
  const auto gelu_tanh_error = largest_error(
      ActivationFunction::kGeluTanh,
      [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); },
      -50, 50);
  EXPECT_LE(gelu_tanh_error, kGeluTanhError);
  RecordProperty("errors", fmt::format("tanh {:.2g}, silu {:.2g}, gelu {:.2g}, gelu-tanh {:.2g}", tanh_error,
                                       silu_error, gelu_error, gelu_tanh_error));
}

TEST_P(Functions, KeepTheErrorOfSoftmax) {
  std::mt19937 random(16);
  for (const int64_t count : {1, 7, 64, 1000}) {
    for (const float spread : {0.1f, 10.0f, 80.0f, 1e4f}) {
      Matrix x(1, count);
      std::normal_distribution<float> normal(0, spread);
      for (float& value : x.row(0)) value = normal(random);
      const std::vector<float> scores(x.data(), x.data() + count);
      softmax_inplace(x.row(0), 0.5f);
      const double top = 0.5 * *std::max_element(scores.begin(), scores.end());
      double total = 0;
      for (const float score : scores) total += std::exp(0.5 * score - top);
      for (int64_t i = 0; i < count; ++i) {
        const double truth = std::exp(0.5 * scores[static_cast<size_t>(i)] - top) / total;
        // Rounding of score * scale - top moves the power by as much as its own size times 2^-24.
        const double power = top - 0.5 * scores[static_cast<size_t>(i)];
        const double bound = truth * (kSoftmaxError + power * 0x1p-23) + 1.2e-38;
        ASSERT_NEAR(x.row(0)[static_cast<size_t>(i)], truth, bound) << count << " scores, spread " << spread;
      }
    }
  }
}

TEST_P(Functions, CarryNanAndInfinity) {
  for (const ActivationFunction function : {ActivationFunction::kSilu, ActivationFunction::kTanh,
                                            ActivationFunction::kGelu, ActivationFunction::kGeluTanh}) {
    std::vector<float> values(21, NAN);
    values[3] = INFINITY;
    values[20] = 1e-42f;
    apply_inplace(function, values);
    EXPECT_TRUE(std::isnan(values[0]) && std::isnan(values[19]));
    EXPECT_EQ(values[3], function == ActivationFunction::kTanh ? 1.0f : INFINITY);
    EXPECT_NEAR(values[20], 0, 1e-41);
  }
}

INSTANTIATE_TEST_SUITE_P(Every, Functions, testing::ValuesIn(targets()),
                         [](const testing::TestParamInfo<Target>& param) { return param.param.name; });

}  // namespace
}  // namespace wattle
