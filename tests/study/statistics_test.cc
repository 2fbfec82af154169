#include "study/statistics.h"

#include <fstream>
#include <set>

#include <gtest/gtest.h>
#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "study/metrics.h"

namespace wattle {
namespace {

nlohmann::json golden() {
  std::ifstream file(WATTLE_SOURCE_DIR "/tests/golden/statistics.json");
  return nlohmann::json::parse(file);
}

std::vector<Output> golden_outputs(const nlohmann::json& json) {
  std::vector<Output> outputs;
  for (size_t i = 0; i < json.at("truth").size(); ++i) {
    outputs.push_back({static_cast<int64_t>(i), json["truth"][i], json["answers"][i]});
  }
  return outputs;
}

TEST(Statistics, AgreeWithScipy) {
  const auto json = golden();
  const auto values = json.at("values").get<std::vector<double>>();
  EXPECT_DOUBLE_EQ(median(values), json.at("median").get<double>());
  EXPECT_DOUBLE_EQ(median_absolute_deviation(values), json.at("mad").get<double>());
  for (const auto& pair : json.at("quantiles")) EXPECT_NEAR(quantile(values, pair[0]), pair[1], 1e-12);
  for (const auto& row : json.at("wilson")) {
    const Interval interval = wilson(row[0], row[1]);
    EXPECT_NEAR(interval.low, row[2], 1e-9);
    EXPECT_NEAR(interval.high, row[3], 1e-9);
  }
}

TEST(Statistics, BootstrapIsSeededAndAgreesWithScipy) {
  const auto json = golden();
  const auto values = json.at("values").get<std::vector<double>>();
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
  EXPECT_NEAR(interval.low, json.at("bootstrap_median")[0], 0.03);
  EXPECT_NEAR(interval.high, json.at("bootstrap_median")[1], 0.03);
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
}

TEST(Statistics, RefuseNothing) {
  EXPECT_THROW(median({}), Error);
  EXPECT_THROW(wilson(0, 0), Error);
}

TEST(Metrics, AgreeWithScikitLearn) {
  const auto json = golden();
  const auto outputs = golden_outputs(json);
  EXPECT_DOUBLE_EQ(accuracy(outputs), json.at("accuracy").get<double>());
  EXPECT_NEAR(macro_f1(outputs, 5), json.at("macro_f1").get<double>(), 1e-12);
  EXPECT_NEAR(macro_f1(outputs, 9), json.at("macro_f1").get<double>(),
              1e-12);  // labels that never occur do not count
  const Interval f1 = quality(Metric::kMacroF1, outputs, 5, 3);
  EXPECT_LT(f1.low, f1.value);
  EXPECT_GT(f1.high, f1.value);
}

TEST(Metrics, AnswersAreNormalisedAsSquadDoes) {
  EXPECT_EQ(exact_match("The  Eiffel-Tower!", "eiffeltower"), 1);
  EXPECT_EQ(exact_match("in 1889", "1889"), 0);
  EXPECT_DOUBLE_EQ(answer_f1("in 1889", "the 1889"), 2.0 / 3);
  EXPECT_EQ(answer_f1("the", "a"), 1);
  EXPECT_EQ(answer_f1("", "x"), 0);
}

TEST(Metrics, RougeOfWorkedExamples) {
  // Lin 2004, section 3: S1 "police killed the gunman", S2 "police kill the gunman", S3 "the gunman kill
  // police".
  const std::string reference = "police killed the gunman";
  EXPECT_DOUBLE_EQ(rouge_l("police kill the gunman", reference), 0.75);
  EXPECT_DOUBLE_EQ(rouge_l("the gunman kill police", reference), 0.5);
  EXPECT_DOUBLE_EQ(rouge_n("police kill the gunman", reference, 1), 0.75);
  EXPECT_DOUBLE_EQ(rouge_n("the gunman kill police", reference, 2), 1.0 / 3);
  EXPECT_DOUBLE_EQ(rouge_n("the the the the", "The cat", 1), 2 * 0.25 * 0.5 / 0.75);
  EXPECT_EQ(rouge_l("", reference), 0);
  EXPECT_EQ(rouge_n("one", "one", 2), 0);
}

}  // namespace
}  // namespace wattle
