#include "study/scoring.h"

#include <gtest/gtest.h>
#include <wattle/error.h>

namespace wattle {
namespace {

using Json = nlohmann::ordered_json;

TEST(Scoring, EveryKindOfTruthComesBackFromItsJson) {
  Span span;
  span.begin = 3, span.end = 9, span.begin_code_point = 2, span.end_code_point = 8;
  span.label = "PER", span.text = "Jörg";
  const std::vector<Truth> truths{std::monostate(), LabelTruth{"yes"},        TextsTruth{{"a", "b"}},
                                  TextsTruth{},     SpansTruth{{span, span}}, SpansTruth{},
                                  ScoreTruth{-0.1}, RelevanceTruth{{0, 2, 1}}};
  for (const Truth& truth : truths) {
    const Json json = truth_json(truth);
    const Truth back = truth_from_json(Json::parse(json.dump()));
    EXPECT_EQ(back.index(), truth.index()) << json;
    EXPECT_EQ(truth_json(back), json);
  }
  EXPECT_THROW(truth_from_json(Json{{"colour", "red"}}), Error);
}

Results two_answers(const std::string& second) {
  Results results;
  results.plan = parse_plan("data: d\nmetric: accuracy\nrungs: [{kind: majority}]", "p");
  results.labels = {"no", "yes"};
  results.truths = {R"({"label":"yes"})", R"({"label":"no"})"};
  results.cells.emplace_back();
  results.cells[0].outputs = {{0, R"({"label":"yes"})", {{1}}}, {1, second, {{0}}}};
  summarise(results);
  return results;
}

TEST(Scoring, AnotherMetricIsComputedFromTheAnswersThatWereKept) {
  Results results = two_answers(R"({"label":"yes"})");
  EXPECT_DOUBLE_EQ(results.cells[0].quality->value, 0.5);
  use_metric(results, "macro_f1");
  EXPECT_NEAR(results.cells[0].quality->value, 1.0 / 3, 1e-12);
  EXPECT_DOUBLE_EQ(results.cells[0].metrics.at("accuracy").value, 0.5);
  use_metric(results, "accuracy");
  EXPECT_EQ(results.plan.metrics, (std::vector<std::string>{"accuracy", "macro_f1"}));
  EXPECT_DOUBLE_EQ(results.cells[0].quality->value, 0.5);
  EXPECT_NEAR(results.cells[0].metrics.at("macro_f1").value, 1.0 / 3, 1e-12);
  Results cut = two_answers(R"({"label":"yes","omitted":["scores"]})");
  EXPECT_THROW(use_metric(cut, "macro_f1"), Error);
}

TEST(Scoring, LongAnswersAreKeptWithoutTheirLongParts) {
  Json scores;
  for (int label = 0; label < 1000; ++label) scores["label " + std::to_string(label)] = 0.001;
  const Scorer scorer(plan_task("classify"), {"accuracy"}, {"no", "yes"}, {LabelTruth{"yes"}});
  Json answer{{"label", "label 7"}, {"scores", scores}};
  const Output output = scorer.score(0, answer);
  EXPECT_EQ(output.answer, R"({"label":"label 7","omitted":["scores"]})");
  EXPECT_EQ(output.scores, (std::vector<std::vector<double>>{{0}}));
}

TEST(Scoring, AnAnswerOfAnotherKindIsRefused) {
  const Scorer scorer(plan_task("classify"), {"accuracy"}, {"no", "yes"}, {LabelTruth{"yes"}});
  EXPECT_THROW(scorer.score(0, Json{{"text", "yes"}}), Error);
  EXPECT_THROW(Scorer(plan_task("classify"), {"colour"}, {}, {}), Error);
}

}  // namespace
}  // namespace wattle
