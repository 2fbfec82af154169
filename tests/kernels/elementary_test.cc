#include "kernels/elementary.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "bits.h"

namespace wattle {
namespace {

double unit(ExactNumbers& random) {
  return static_cast<double>(random.bits() >> 11) * 0x1p-53;
}

TEST(Elementary, FunctionsKeepTheirErrors) {
  ExactNumbers random(1);
  for (int i = 0; i < 200000; ++i) {
    const double angle = (2 * unit(random) - 1) * std::ldexp(1.0, static_cast<int>(random.bits() % 23));
    const SineCosine turned = sine_cosine(angle);
    ASSERT_NEAR(turned.sine, std::sin(angle), 1e-14) << angle;
    ASSERT_NEAR(turned.cosine, std::cos(angle), 1e-14) << angle;
    const double base = std::exp2(200 * unit(random) - 100), exponent = 2 * unit(random) - 1;
    ASSERT_NEAR(natural_logarithm(base), std::log(base), 1e-14 * std::max(1.0, std::abs(std::log(base))));
    const double raised = std::pow(base, exponent);
    ASSERT_NEAR(power(base, exponent), raised, 1e-14 * std::max(1.0, std::abs(std::log(raised))) * raised);
  }
}

TEST(Elementary, FunctionsAreExactWhereTheyMustBe) {
  EXPECT_EQ(sine_cosine(0).sine, 0);
  EXPECT_EQ(sine_cosine(0).cosine, 1);
  EXPECT_EQ(power(10000, 0), 1);
  EXPECT_EQ(natural_logarithm(1), 0);
}

TEST(Elementary, FunctionsGiveTheSameBitsEverywhere) {
  ExactNumbers random(2);
  Bits bits;
  const auto add = [&](double value) {
    const auto high = static_cast<float>(value);
    bits.add(std::vector{high, static_cast<float>(value - high)});
  };
  for (int i = 0; i < 20000; ++i) {
    const double angle = unit(random) * std::ldexp(1.0, static_cast<int>(random.bits() % 23));
    const SineCosine turned = sine_cosine(angle);
    add(turned.sine), add(turned.cosine), add(natural_logarithm(angle + 1e-3));
    add(power(1 + angle, -unit(random)));
  }
  GoldenBits("kernels").expect("elementary functions", bits);
}

}  // namespace
}  // namespace wattle
