#include <cmath>

#include <gtest/gtest.h>

#include <wattle/error.h>

#include "metrics/detection.h"
#include "metrics/golden.h"

namespace wattle {
namespace {

Pairs score_pairs(const std::vector<double>& answers, const std::vector<double>& truths) {
  Pairs pairs;
  for (size_t i = 0; i < answers.size(); ++i)
    pairs.emplace_back(score_answer(answers[i]), ScoreTruth{truths[i]});
  return pairs;
}

TEST(Scores, AgreeWithScipyAndScikitLearn) {
  const auto json = golden("scores");
  const Pairs pairs = score_pairs(json.at("answers"), json.at("truth"));
  for (const char* name : {"spearman", "pearson", "rmse", "mae", "r2"}) {
    EXPECT_NEAR(value_of(*make_metric(name), pairs), json.at(name).get<double>(), kNear) << name;
  }
}

TEST(Scores, WhereNothingVaries) {
  const Pairs same_answer = score_pairs({1, 1, 1}, {1, 2, 3}), same_truth = score_pairs({1, 2, 3}, {2, 2, 2});
  for (const char* name : {"spearman", "pearson"}) {
    EXPECT_EQ(value_of(*make_metric(name), same_answer), 0) << name;
    EXPECT_THROW(value_of(*make_metric(name), same_truth), Error) << name;
  }
  EXPECT_EQ(value_of(*make_metric("r2"), same_truth), 0);
  EXPECT_EQ(value_of(*make_metric("r2"), score_pairs({2, 2}, {2, 2})), 1);
  EXPECT_THROW(make_metric("mae")->row(score_answer(NAN), ScoreTruth{1}), Error);
}

Answer scores_answer(std::vector<double> scores) {
  Answer answer;
  answer.value = ScoresAnswer{std::move(scores)};
  return answer;
}

TEST(Ranking, AgreesWithRanxAndScikitLearn) {
  const auto json = golden("ranking");
  for (const char* name : {"ndcg_10", "recall_10", "mean_reciprocal_rank"}) {
    const auto metric = make_metric(name);
    std::vector<RowScore> rows;
    for (const auto& row : json.at("rows")) {
      rows.push_back(metric->row(scores_answer(row.at("scores")), RelevanceTruth{row.at("relevance")}));
      EXPECT_NEAR(rows.back()[0], row.at(name).get<double>(), kNear) << name << row;
    }
    EXPECT_NEAR(metric->value(rows), json.at(name).get<double>(), kNear) << name;
  }
}

TEST(Ranking, NothingRelevantIsZeroAndMismatchesAreRefused) {
  for (const char* name : {"ndcg_10", "recall_10", "mean_reciprocal_rank"}) {
    const auto metric = make_metric(name);
    EXPECT_EQ(metric->row(scores_answer({1, 2}), RelevanceTruth{{0, 0}}), RowScore{0});
    EXPECT_THROW(metric->row(scores_answer({1, 2}), RelevanceTruth{{1}}), Error);
    EXPECT_THROW(metric->row(scores_answer({1}), RelevanceTruth{{-1}}), Error);
  }
}

std::vector<DetectionRow> detection_rows(const nlohmann::json& json) {
  const auto box = [](const nlohmann::json& b) { return Box{b[0], b[1], b[2], b[3]}; };
  std::vector<DetectionRow> rows;
  for (const auto& row : json) {
    DetectionRow& image = rows.emplace_back();
    for (const auto& t : row.at("truths"))
      image.truths.push_back({box(t.at("box")), t.at("label"), t.at("crowd")});
    for (const auto& d : row.at("detections")) {
      image.detections.push_back({box(d.at("box")), d.at("label"), d.at("score")});
    }
  }
  return rows;
}

TEST(Detection, AgreesWithPycocotools) {
  const auto json = golden("detection");
  const DetectionPrecision precision(detection_rows(json.at("rows")));
  const AveragePrecision value = precision.value();
  EXPECT_NEAR(value.at_50_to_95, json.at("at_50_to_95").get<double>(), kNear);
  EXPECT_NEAR(value.at_50, json.at("at_50").get<double>(), kNear);
  EXPECT_NEAR(value.at_75, json.at("at_75").get<double>(), kNear);
  const Interval interval = precision.interval(3);
  EXPECT_LT(interval.low, value.at_50_to_95);
  EXPECT_GT(interval.high, value.at_50_to_95);
}

TEST(Detection, ADrawCountsRepeatedImagesAsOftenAsTheyCome) {
  auto rows = detection_rows(golden("detection").at("rows"));
  const std::vector<int64_t> places = {5, 5, 7, 9, 9, 9, 12, 20};
  std::vector<DetectionRow> drawn;
  for (const int64_t place : places) drawn.push_back(rows[static_cast<size_t>(place)]);
  EXPECT_NEAR(DetectionPrecision(rows).value(places).at_50_to_95,
              DetectionPrecision(drawn).value().at_50_to_95, kNear);
}

TEST(Detection, NothingToFindIsRefused) {
  const TrueBox crowd{{0, 0, 1, 1}, 0, true};
  EXPECT_THROW(DetectionPrecision(std::vector<DetectionRow>{{{crowd}, {}}}), Error);
  EXPECT_THROW(DetectionPrecision({}), Error);
}

}  // namespace
}  // namespace wattle
