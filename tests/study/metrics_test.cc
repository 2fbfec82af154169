#include "study/metrics.h"

#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "metrics/metric.h"

namespace wattle {
namespace {

nlohmann::json golden() {
  std::ifstream file(WATTLE_SOURCE_DIR "/tests/golden/metrics.json");
  return nlohmann::json::parse(file);
}

TEST(Metrics, AgreeWithScikitLearn) {
  const auto json = golden();
  for (const size_t n_labels : {5, 9}) {  // labels that never occur do not count
    std::vector<std::string> labels;
    for (size_t label = 0; label < n_labels; ++label) labels.push_back(std::to_string(label));
    const auto names = std::make_shared<const std::vector<std::string>>(labels);
    for (const char* name : {"accuracy", "macro_f1"}) {
      const auto metric = make_metric(name, labels);
      std::vector<RowScore> rows;
      for (size_t i = 0; i < json.at("truth").size(); ++i) {
        Answer answer;
        answer.value = LabelAnswer{json["answers"][i], {}, names, {}};
        rows.push_back(metric->row(answer, LabelTruth{labels[json["truth"][i].get<size_t>()]}));
      }
      EXPECT_NEAR(metric->value(rows), json.at(name).get<double>(), 1e-12) << name;
    }
  }
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
