#include <gtest/gtest.h>

#include <wattle/error.h>

#include "metrics/golden.h"

namespace wattle {
namespace {

Pairs label_pairs(const nlohmann::json& json) {
  Pairs pairs;
  for (size_t i = 0; i < json.at("truth").size(); ++i) {
    pairs.emplace_back(label_answer(json["probabilities"][i]),
                       LabelTruth{std::to_string(json["truth"][i].get<int>())});
  }
  return pairs;
}

const std::vector<std::string> kLabels = {"0", "1", "2", "3", "never seen"};

TEST(Labels, AgreeWithScikitLearn) {
  const auto json = golden("labels");
  const Pairs pairs = label_pairs(json);
  for (const char* name : {"accuracy", "macro_f1", "top_1", "calibration_error"}) {
    EXPECT_NEAR(value_of(*make_metric(name, kLabels), pairs), json.at(name).get<double>(), kNear) << name;
  }
  // Here scikit-learn reckons in single precision.
  EXPECT_NEAR(value_of(*make_metric("brier"), pairs), json.at("brier").get<double>(), 1e-7);
  EXPECT_NEAR(value_of(*make_metric("log_loss"), pairs), json.at("log_loss").get<double>(), 1e-6);
}

TEST(Labels, ALabelThatTheModelDoesNotKnowIsWrong) {
  const Answer answer = label_answer({0.25f, 0.75f});
  const Truth truth = LabelTruth{"elsewhere"};
  EXPECT_EQ(make_metric("accuracy")->row(answer, truth), RowScore{0});
  EXPECT_EQ(make_metric("top_5")->row(answer, truth), RowScore{0});
  EXPECT_EQ(make_metric("brier")->row(answer, truth), RowScore{(1 + 0.0625 + 0.5625) / 2});
  EXPECT_NEAR(make_metric("log_loss")->row(answer, truth)[0], 15.9424, 1e-4);
  EXPECT_THROW(make_metric("macro_f1", kLabels)->row(answer, truth), Error);
}

TEST(Labels, TopFiveCountsPlacesAndBreaksTiesByOrder) {
  const Answer answer = label_answer({0.1f, 0.3f, 0.1f, 0.2f, 0.1f, 0.1f, 0.1f});
  const auto top_5 = make_metric("top_5");
  for (const auto& [label, right] : {std::pair{"0", 1.0}, {"1", 1.0}, {"4", 1.0}, {"5", 0.0}, {"6", 0.0}}) {
    EXPECT_EQ(top_5->row(answer, LabelTruth{label}), RowScore{right}) << label;
  }
}

Answer fills(const std::vector<std::string>& tokens) {
  FillsAnswer fills{{{}}};
  for (const auto& token : tokens) fills.masks[0].push_back({0, token, 0, ""});
  Answer answer;
  answer.value = fills;
  return answer;
}

TEST(MaskedWords, CompareTrimmedTokensWithoutCase) {
  const Answer answer = fills({" wet", "dry", "Paris", "x", "y"});
  EXPECT_EQ(make_metric("top_1")->row(answer, TextsTruth{{"wet"}}), RowScore{1});
  EXPECT_EQ(make_metric("top_1")->row(answer, TextsTruth{{"dry"}}), RowScore{0});
  EXPECT_EQ(make_metric("top_5")->row(answer, TextsTruth{{"none", "paris "}}), RowScore{1});
  EXPECT_EQ(make_metric("top_5")->row(answer, TextsTruth{{"we"}}), RowScore{0});
  EXPECT_THROW(make_metric("top_5")->row(fills({"a", "b"}), TextsTruth{{"a"}}), Error);
}

Answer span_answer(const nlohmann::json& spans) {
  SpansAnswer value;
  for (const auto& span : spans) value.spans.push_back({span[0], span[1], 0, 0, span[2], "", 0});
  Answer answer;
  answer.value = value;
  return answer;
}

TEST(Spans, AgreeWithSeqeval) {
  const auto json = golden("spans");
  Pairs pairs;
  for (const auto& row : json.at("rows")) {
    pairs.emplace_back(span_answer(row.at("answer")),
                       SpansTruth{std::get<SpansAnswer>(span_answer(row.at("truth")).value).spans});
  }
  EXPECT_NEAR(value_of(*make_metric("span_f1"), pairs), json.at("span_f1").get<double>(), kNear);
}

TEST(Spans, NoneAnsweredAndNoneWantedGiveZeroAsSeqevalDoes) {
  const auto metric = make_metric("span_f1");
  EXPECT_EQ(value_of(*metric, {{span_answer(nlohmann::json::array()), SpansTruth{}}}), 0);
}

TEST(Metrics, AreAllInTheirDocument) {
  std::ifstream file(WATTLE_SOURCE_DIR "/docs/metrics.md");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  for (const std::string& name : metric_names()) {
    EXPECT_NE(text.find("| `" + name + "` |"), std::string::npos) << name;
  }
}

TEST(Metrics, RefuseAnswersAndTruthsOfAnotherKind) {
  for (const std::string& name : metric_names()) {
    const std::vector<Truth> truths = {TextsTruth{{"a"}}};
    const auto metric = make_metric(name, kLabels, truths);
    EXPECT_EQ(metric->name(), name);
    EXPECT_FALSE(metric->description().empty());
    Answer vector;
    vector.value = VectorAnswer{};
    EXPECT_THROW(metric->row(vector, LabelTruth{"0"}), Error) << name;
    EXPECT_THROW(metric->row(vector, TextsTruth{{"x"}}), Error) << name;
    EXPECT_THROW(metric->value({}), Error) << name;
    EXPECT_THROW(metric->interval({}, 1), Error) << name;
  }
  EXPECT_THROW(make_metric("accuracy")->row(label_answer({1}), ScoreTruth{1}), Error);
  EXPECT_THROW(make_metric("bleu")->row(text_answer("x"), TextsTruth{}), Error);
  EXPECT_THROW(make_metric("cider_d"), Error);
  EXPECT_THROW(make_metric("acuracy"), Error);
}

}  // namespace
}  // namespace wattle
