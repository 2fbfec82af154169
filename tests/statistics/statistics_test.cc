#include <cmath>
#include <fstream>
#include <limits>
#include <set>

#include <gtest/gtest.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "statistics/comparisons.h"
#include "statistics/descriptive.h"
#include "statistics/distributions.h"
#include "statistics/intervals.h"
#include "statistics/random.h"

namespace wattle {
namespace {

const nlohmann::json& golden() {
  static const auto json =
      nlohmann::json::parse(std::ifstream(WATTLE_SOURCE_DIR "/tests/golden/statistics.json"));
  return json;
}

std::vector<double> sample(const char* name) {
  return golden().at(name);
}

/// Within `relative` of the reference, also where that is tiny.
void expect_close(double ours, double theirs, double relative = 1e-12) {
  EXPECT_NEAR(ours, theirs, relative * std::abs(theirs)) << theirs;
}

void expect_interval(const Interval& ours, const nlohmann::json& theirs) {
  expect_close(ours.value, theirs[0]);
  expect_close(ours.low, theirs[1]);
  expect_close(ours.high, theirs[2]);
}

TEST(Statistics, DescribeAsNumpyAndScipyDo) {
  const auto values = sample("values");
  expect_close(mean(values), golden().at("mean"));
  expect_close(variance(values), golden().at("variance"));
  EXPECT_EQ(variance(std::vector<double>{3}), 0);
  EXPECT_DOUBLE_EQ(median(values), golden().at("median").get<double>());
  EXPECT_DOUBLE_EQ(median_absolute_deviation(values), golden().at("mad").get<double>());
  for (const auto& pair : golden().at("quantiles")) EXPECT_NEAR(quantile(values, pair[0]), pair[1], 1e-12);
}

TEST(Statistics, DistributionsAreThoseOfScipy) {
  for (const auto& row : golden().at("normal")) expect_close(normal_quantile(row[0]), row[1]);
  for (const auto& row : golden().at("normal_cdf")) expect_close(normal_cdf(row[0]), row[1]);
  for (const auto& row : golden().at("student_t"))
    expect_close(student_t_quantile(row[0], row[1]), row[2], 1e-10);
  for (const auto& row : golden().at("student_t_cdf"))
    expect_close(student_t_cdf(row[0], row[1]), row[2], 1e-10);
  for (const auto& row : golden().at("beta_cdf"))
    expect_close(beta_cdf(row[0], row[1], row[2]), row[3], 1e-10);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(student_t_quantile(0.975, kInfinity), normal_quantile(0.975));
  EXPECT_EQ(normal_quantile(0), -kInfinity);
  EXPECT_EQ(normal_quantile(1), kInfinity);
  EXPECT_TRUE(std::isnan(normal_quantile(1.5)));
}

TEST(Statistics, IntervalsAreThoseOfScipy) {
  expect_interval(student_interval(sample("values")), golden().at("student_interval"));
  expect_interval(student_interval_of_logs(sample("c")), golden().at("student_interval_of_logs"));
  for (const auto& row : golden().at("wilson")) {
    const Interval interval = wilson(row[0], row[1]);
    EXPECT_NEAR(interval.low, row[2], 1e-12);
    EXPECT_NEAR(interval.high, row[3], 1e-12);
  }
  for (const auto& row : golden().at("at_least"))
    expect_close(probability_at_least(row[0], row[1], row[2]), row[3], 1e-10);
}

TEST(Statistics, TwoRepetitionsTellNoIntervalAndNoDifference) {
  const std::vector<double> two = {1, 1.01}, many = {2, 2.1, 2.2};
  EXPECT_FALSE(student_interval(two).bounded());
  EXPECT_DOUBLE_EQ(student_interval(two).value, 1.005);
  EXPECT_FALSE(student_interval_of_logs(two).bounded());
  for (const Ratio& ratio : {ratio_of(two, many), ratio_of(many, two), paired_ratio_of(two, two)}) {
    EXPECT_FALSE(ratio.bounded());
    EXPECT_FALSE(ratio.distinguishable());
  }
  EXPECT_TRUE(std::isnan(paired_t_test(two, two)));
}

TEST(Statistics, RatiosAreThoseOfScipyOnLogarithms) {
  const Ratio apart = ratio_of(sample("a"), sample("c"));
  expect_interval(apart, golden().at("ratio"));
  expect_close(apart.p, golden().at("ratio")[3], 1e-10);
  const Ratio paired = paired_ratio_of(sample("a"), sample("b"));
  expect_interval(paired, golden().at("paired_ratio"));
  expect_close(paired.p, golden().at("paired_ratio")[3], 1e-10);
  expect_close(paired_t_test(sample("a"), sample("b")), golden().at("paired_t"), 1e-10);
}

TEST(Statistics, RatiosAreDistinguishableOnlyWhenTheirIntervalLeavesOne) {
  const std::vector<double> a = {13.3, 13.5, 13.4, 13.4}, b = {10.0, 10.1, 9.9, 10.0}, noisy = {9, 12, 8, 13};
  const Ratio clear = ratio_of(a, b);
  EXPECT_TRUE(clear.distinguishable());
  EXPECT_GT(clear.low, 1);
  EXPECT_FALSE(ratio_of(noisy, b).distinguishable());
  const std::vector<double> same = {4, 4, 4}, half = {2, 2, 2};
  EXPECT_FALSE(ratio_of(same, same).distinguishable());
  EXPECT_EQ(ratio_of(same, half).low, 2);
  EXPECT_TRUE(ratio_of(same, half).distinguishable());
  const std::vector<double> nothing = {0, 0, 1};
  EXPECT_TRUE(std::isnan(ratio_of(nothing, same).low));
  EXPECT_FALSE(ratio_of(nothing, same).distinguishable());
}

TEST(Statistics, ADriftThatRoundsShareCancelsInPairs) {
  std::vector<double> a, b;
  for (int round = 0; round < 10; ++round) {
    const double drift = 1 + 0.05 * round;
    a.push_back(10 * drift * (round % 2 == 0 ? 1.001 : 0.999));
    b.push_back(10.3 * drift);
  }
  EXPECT_FALSE(ratio_of(a, b).distinguishable());
  EXPECT_TRUE(paired_ratio_of(a, b).distinguishable());
  EXPECT_THROW(paired_ratio_of(a, std::vector<double>{1, 2, 3}), Error);
}

TEST(Statistics, SeveralComparisonsAreThoseOfStatsmodels) {
  for (const auto& row : golden().at("mcnemar")) expect_close(mcnemar_test(row[0], row[1]), row[2], 1e-10);
  EXPECT_EQ(mcnemar_test(0, 0), 1);
  const auto corrected = holm(sample("p"));
  for (size_t i = 0; i < corrected.size(); ++i) expect_close(corrected[i], golden().at("holm")[i]);
  const auto gaps = holm(std::vector<double>{0.02, NAN, 0.03});
  EXPECT_EQ(gaps[0], 0.04);
  EXPECT_TRUE(std::isnan(gaps[1]));
  EXPECT_EQ(gaps[2], 0.04);
}

TEST(Statistics, BootstrapIsSeededAndAgreesWithScipy) {
  const auto values = sample("values");
  std::vector<double> drawn(values.size());
  const auto statistic = [&](std::span<const int64_t> indices) {
    for (size_t i = 0; i < indices.size(); ++i) drawn[i] = values[indices[i]];
    return median(drawn);
  };
  const auto n = static_cast<int64_t>(values.size());
  const Interval interval = bootstrap(n, 5, statistic, 20000), again = bootstrap(n, 5, statistic, 20000);
  EXPECT_EQ(interval.low, again.low);
  EXPECT_EQ(interval.high, again.high);
  EXPECT_DOUBLE_EQ(interval.value, median(values));
  // The bounds of a bootstrapped median jump between neighbouring order statistics.
  EXPECT_NEAR(interval.low, golden().at("bootstrap_median")[0], 0.03);
  EXPECT_NEAR(interval.high, golden().at("bootstrap_median")[1], 0.03);
}

TEST(Statistics, FlagsOutliersByDeviation) {
  EXPECT_EQ(outliers(std::vector<double>{1.0, 1.01, 0.99, 1.02, 1.5}),
            (std::vector<bool>{false, false, false, false, true}));
  EXPECT_EQ(outliers(std::vector<double>{1.0, 9.0}), (std::vector<bool>{false, false}));
  EXPECT_EQ(outliers(std::vector<double>{2, 2, 2, 2}), (std::vector<bool>{false, false, false, false}));
}

TEST(Statistics, ShuffleIsAPermutationThatTheSeedDecides) {
  const auto order = shuffled(50, 7);
  EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 50u);
  EXPECT_EQ(order, shuffled(50, 7));
  EXPECT_NE(order, shuffled(50, 8));
}

TEST(Statistics, RandomIsEvenAndNormal) {
  Random random(11);
  std::vector<int> counts(10);
  double sum = 0, squares = 0;
  for (int i = 0; i < 100'000; ++i) {
    ++counts[random.below(10)];
    const double z = random.normal();
    sum += z, squares += z * z;
  }
  for (const int count : counts) EXPECT_NEAR(count, 10'000, 400);
  EXPECT_NEAR(sum / 1e5, 0, 0.02);
  EXPECT_NEAR(squares / 1e5, 1, 0.03);
  for (int i = 0; i < 1000; ++i) {
    const int64_t most = int64_t{1} << 62, drawn = random.below(most);
    EXPECT_TRUE(drawn >= 0 && drawn < most);
  }
}

TEST(Statistics, RefuseNothing) {
  EXPECT_THROW(median({}), Error);
  EXPECT_THROW(mean({}), Error);
  EXPECT_THROW(wilson(0, 0), Error);
  EXPECT_THROW(student_interval_of_logs(std::vector<double>{1, 0, 2}), Error);
}

}  // namespace
}  // namespace wattle
