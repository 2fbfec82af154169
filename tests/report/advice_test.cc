#include "report/advice.h"

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "report/made_up.h"

namespace wattle {
namespace {

Requirements at_least(double quality) {
  Requirements wanted;
  wanted.quality = quality;
  return wanted;
}

std::string text_of(const Results& study, const Requirements& wanted) {
  std::string text;
  for (const std::string& line : sentences(study, wanted, advise(study, wanted))) text += line + "\n";
  return text;
}

TEST(Advice, ClearWinner) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "cheap", "F32", 600, 0.01),
                 made_up_cell(study, "middle", "Q8_0", 940, 0.1), made_up_cell(study, "dear", "F32", 960, 1)};
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.choice, 1u);
  EXPECT_EQ(advice.runner_up, 2u);
  EXPECT_GT(advice.probability, 0.99);
  EXPECT_FALSE(advice.too_close);
  EXPECT_EQ(advice.front, (std::vector<size_t>{0, 1, 2}));
  EXPECT_NE(text_of(study, at_least(0.9)).find("use middle Q8_0"), std::string::npos);
}

TEST(Advice, TooCloseInEnergy) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "Q8_0", 940, 0.100), made_up_cell(study, "b", "Q6_K", 940, 0.101)};
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_TRUE(advice.too_close);
  EXPECT_NEAR(advice.probability, 0.55, 0.12);
  EXPECT_NE(text_of(study, at_least(0.9)).find("Too close to call"), std::string::npos);
}

TEST(Advice, TooCloseToTheBar) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "on the bar", "Q4_0", 902, 0.1),
                 made_up_cell(study, "safe", "F32", 960, 1)};
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.choice, 0u);
  EXPECT_TRUE(advice.too_close);
  EXPECT_NEAR(advice.probability, 0.58, 0.1);
}

TEST(Advice, NoneReaches) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "F32", 600, 0.1), made_up_cell(study, "b", "F32", 700, 1)};
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_FALSE(advice.choice);
  EXPECT_EQ(advice.best, 1u);
  EXPECT_NE(text_of(study, at_least(0.9)).find("No cell reaches"), std::string::npos);
  EXPECT_NE(text_of(study, at_least(0.9)).find("b F32"), std::string::npos);
  EXPECT_EQ(to_json(study, at_least(0.9), advice).at("choice"), nullptr);
}

TEST(Advice, ACellWithoutQualityOrThatFailedIsNeverRecommended) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "shape", "Q4_0", 1000, 0.001),
                 made_up_cell(study, "failed", "F32", 1000, 0.001),
                 made_up_cell(study, "good", "F32", 950, 1)};
  study.cells[0].outputs.clear();
  study.cells[1].error = "it broke";
  summarise(study);
  EXPECT_EQ(advise(study, at_least(0.9)).choice, 2u);
  study.cells.pop_back();
  EXPECT_FALSE(advise(study, at_least(0.9)).choice);
}

TEST(Advice, LimitsAndOtherBars) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "F32", 930, 0.1), made_up_cell(study, "b", "F32", 955, 0.5),
                 made_up_cell(study, "c", "F32", 960, 2)};
  study.cells[1].samples[1].peak_memory_bytes = 3'000'000'000;
  summarise(study);
  Requirements drop;
  drop.drop = 0.01;
  EXPECT_EQ(advise(study, drop).choice, 1u);
  EXPECT_NEAR(advise(study, drop).bar, 0.95, 1e-12);
  drop.memory_bytes = 2'000'000'000;
  EXPECT_EQ(advise(study, drop).choice, 2u);
  Requirements quick = at_least(0.9);
  quick.p95_ms = 1;
  EXPECT_FALSE(advise(study, quick).choice);
  Requirements margin;
  margin.margin = 0.02;  // a loses 30 rows of 1,000 to c, which no chance undoes
  EXPECT_EQ(advise(study, margin).choice, 1u);
  margin.margin = 0.06;
  EXPECT_EQ(advise(study, margin).choice, 0u);
  EXPECT_THROW(advise(study, Requirements{}), Error);
}

TEST(Advice, BreakEvenCountsTraining) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "trained", "F32", 950, 1, 0),
                 made_up_cell(study, "untrained", "F32", 950, 3, 0)};
  Window training = study.cells[0].samples[0];
  training.kind = "train";
  training.energy.joules = 2000;
  study.cells[0].samples.push_back(training);
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  ASSERT_EQ(advice.break_even.size(), 1u);
  EXPECT_NEAR(*advice.break_even[0].queries, 1000, 1e-6);  // 2,000 J saved at 2 J a query
}

TEST(Advice, DoubtOfTheModelCountsWherePowerDiffers) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "Q8_0", 940, 0.10), made_up_cell(study, "b", "F32", 940, 0.13)};
  summarise(study);
  EXPECT_GT(advise(study, at_least(0.9)).probability, 0.99);
  study.cells = {made_up_cell(study, "a", "Q8_0", 940, 0.10, 0.01, 10),
                 made_up_cell(study, "b", "F32", 940, 0.13, 0.01, 30)};
  summarise(study);
  EXPECT_TRUE(advise(study, at_least(0.9)).too_close);
}

}  // namespace
}  // namespace wattle
