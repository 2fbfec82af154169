#include "study/metrics.h"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace wattle {
namespace {

nlohmann::json golden() {
  std::ifstream file(WATTLE_SOURCE_DIR "/tests/golden/metrics.json");
  return nlohmann::json::parse(file);
}

std::vector<Output> golden_outputs(const nlohmann::json& json) {
  std::vector<Output> outputs;
  for (size_t i = 0; i < json.at("truth").size(); ++i) {
    outputs.push_back({static_cast<int64_t>(i), json["truth"][i], json["answers"][i]});
  }
  return outputs;
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
