#include <array>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include <wattle/error.h>

#include "metrics/golden.h"
#include "statistics/intervals.h"
#include "statistics/random.h"

namespace wattle {
namespace {

/// Of `studies` simulated data sets of `n` rows how many intervals hold the truth.
template <typename Draw>
double coverage(const Metric& metric, double truth, int n, int studies, const Draw& draw) {
  int held = 0;
  for (int study = 0; study < studies; ++study) {
    Random random(static_cast<uint64_t>(study) + 1);
    std::vector<RowScore> rows;
    for (int i = 0; i < n; ++i) rows.push_back(draw(random));
    const Interval interval = metric.interval(rows, static_cast<uint64_t>(study));
    held += interval.low <= truth && truth <= interval.high;
  }
  return held / static_cast<double>(studies);
}

// 95 % is expected, with a standard error of 1.1 % for 400 studies; the percentile bootstrap of some hundred
// rows is known to be a little narrow.
void expect_covers(double share) {
  EXPECT_GE(share, 0.91);
  EXPECT_LE(share, 0.985);
}

TEST(Intervals, OfAProportionHoldTheTruth) {
  const auto metric = make_metric("accuracy");
  expect_covers(coverage(*metric, 0.9, 100, 400,
                         [](Random& random) { return RowScore{random.uniform() < 0.9 ? 1.0 : 0.0}; }));
}

TEST(Intervals, OfAMeanHoldTheTruth) {
  const auto metric = make_metric("mae");
  expect_covers(coverage(*metric, std::sqrt(2 / M_PI), 100, 400,
                         [](Random& random) { return RowScore{std::abs(random.normal())}; }));
}

TEST(Intervals, OfACorpusFigureHoldTheTruth) {
  // Rows of 10 to 29 words, of which two in three, and of longer n-grams the powers of that, are matches.
  const auto metric = make_metric("bleu");
  const auto draw = [](Random& random) {
    const auto words = static_cast<double>(10 + random.below(20));
    RowScore row = {words, words};
    for (int n = 1; n <= 4; ++n) {
      const double all = words - n + 1;
      double matches = 0;
      for (int i = 0; i < static_cast<int>(all); ++i) matches += random.uniform() < std::pow(2.0 / 3, n);
      row.insert(row.end(), {matches, all});
    }
    return row;
  };
  expect_covers(coverage(*metric, 100 * std::pow(2.0 / 3, 2.5), 60, 200, draw));
}

TEST(Intervals, OfARankCorrelationHoldTheTruth) {
  const auto metric = make_metric("spearman");
  const double r = 0.6;
  const auto draw = [&](Random& random) {
    const double x = random.normal();
    return RowScore{x, r * x + std::sqrt(1 - r * r) * random.normal()};
  };
  expect_covers(coverage(*metric, 6 / M_PI * std::asin(r / 2), 100, 300, draw));  // of two normal variables
}

TEST(Intervals, OfAPairedDifferenceHoldTheTruthAndAreNarrowerThanUnpairedOnes) {
  const auto metric = make_metric("mae");
  int held = 0;
  double paired = 0, single = 0;
  for (uint64_t study = 0; study < 200; ++study) {
    Random random(study + 1);
    std::vector<RowScore> a, b;
    for (int i = 0; i < 100; ++i) {
      const double hard = 2 + random.normal();
      a.push_back({hard + 0.1 * random.normal()}), b.push_back({hard + 0.05 + 0.1 * random.normal()});
    }
    const Interval difference = paired_difference(*metric, a, b, study);
    held += difference.low <= -0.05 && -0.05 <= difference.high;
    paired += difference.half(), single += metric->interval(a, study).half();
  }
  expect_covers(held / 200.0);
  EXPECT_LT(paired, 0.2 * single);
}

TEST(Intervals, PairedProportionsAreTestedByTheRowsThatDiffer) {
  // 6 rows that only a has right, 1 that only b has: 2 (1 + 7) / 2^7.
  std::vector<RowScore> a(20, RowScore{1}), b(20, RowScore{1});
  for (size_t i = 0; i < 6; ++i) b[i] = {0};
  a[6] = {0};
  EXPECT_NEAR(paired_test(*make_metric("accuracy"), a, b), 0.125, kNear);
  EXPECT_THROW(paired_test(*make_metric("mae"), a, b), Error);
  b.pop_back();
  EXPECT_THROW(paired_test(*make_metric("accuracy"), a, b), Error);
}

TEST(Intervals, OfOneMetricForManyDrawsIsItsValue) {
  // Metrics that compute something once for all draws give what they give for each.
  Random random(5);
  std::vector<RowScore> rows;
  for (int i = 0; i < 50; ++i)
    rows.push_back({static_cast<double>(random.below(10)), static_cast<double>(random.below(10))});
  for (const char* name : {"spearman", "pearson", "r2", "perplexity"}) {
    const auto metric = make_metric(name);
    const ValueOfPlaces over = metric->over(rows);
    for (int draw = 0; draw < 20; ++draw) {
      std::vector<int64_t> places(40);
      std::vector<RowScore> drawn;
      for (int64_t& place : places) drawn.push_back(rows[static_cast<size_t>(place = random.below(50))]);
      const double value = metric->value(drawn);
      EXPECT_NEAR(over(places), value, 1e-12 * std::max(1.0, std::abs(value))) << name;
      EXPECT_EQ(over(places), metric->value(rows, places)) << name;
    }
  }
}

TEST(Intervals, DrawsWithoutAValueAreLeftOut) {
  // Two of six rows count; some draws have neither.
  std::vector<RowScore> rows(6, RowScore{0, 0});
  rows[0] = {1, 1}, rows[1] = {0, 1};
  const Interval interval = make_metric("no_answer_accuracy")->interval(rows, 1);
  EXPECT_EQ(interval.value, 0.5);
  EXPECT_EQ(interval.low, 0);
  EXPECT_EQ(interval.high, 1);
}

TEST(Intervals, SameSeedSameBytes) {
  std::vector<RowScore> rows;
  Random random(2);
  for (int i = 0; i < 30; ++i) rows.push_back({random.uniform()});
  const auto metric = make_metric("answer_f1");
  const Interval one = metric->interval(rows, 9), two = metric->interval(rows, 9),
                 other = metric->interval(rows, 10);
  EXPECT_EQ(one.low, two.low);
  EXPECT_EQ(one.high, two.high);
  EXPECT_NE(one.low, other.low);
}

TEST(Intervals, RowsOfDifferentWidthsAreRefused) {
  const std::vector<RowScore> rows = {{1, 2}, {1}};
  EXPECT_THROW(make_metric("perplexity")->interval(rows, 1), Error);
  EXPECT_THROW(paired_difference(*make_metric("mae"), rows, std::vector<RowScore>{{1, 2}}, 1), Error);
}

}  // namespace
}  // namespace wattle
