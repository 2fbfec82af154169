#include "report/advice.h"

#include <algorithm>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "report/findings.h"
#include "report/made_up.h"
#include "report/report.h"
#include "study/scoring.h"
#include "study/summary.h"

namespace wattle {
namespace {

Requirements at_least(double quality) {
  Requirements wanted;
  wanted.quality = quality;
  return wanted;
}

std::string text_of(const Results& study, const Requirements& wanted) {
  std::string text;
  for (const std::string& line : summary(study, wanted, advise(study, wanted))) text += line + "\n";
  return text;
}

void expect_says(const Results& study, const Requirements& wanted, const std::string& words) {
  const std::string text = text_of(study, wanted);
  EXPECT_NE(text.find(words), std::string::npos) << text;
  EXPECT_LE(std::count(text.begin(), text.end(), '\n'), 5) << text;
}

TEST(Advice, ClearWinner) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "cheap", "F32", 600, 0.01),
                 made_up_cell(study, "middle", "Q8_0", 940, 0.1, 0),
                 made_up_cell(study, "dear", "F32", 960, 1, 0)};
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.choice, 1u);
  EXPECT_EQ(advice.equals, std::vector<size_t>{1});
  EXPECT_GT(advice.candidates[0].sure, 0.99);
  EXPECT_LT(*advice.regret, 0.001);
  EXPECT_FALSE(advice.sure_choice);
  EXPECT_EQ(advice.front, (std::vector<size_t>{0, 1, 2}));
  expect_says(study, at_least(0.9), "take middle Q8_0");
  expect_says(study, at_least(0.9), "With 95 % certainty middle Q8_0 is the cheapest");
  expect_says(study, at_least(0.9), "The next takes 10.0");
}

TEST(Advice, EqualsInEnergyAreAClassAndTheSmallestIsTaken) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "Q8_0", 940, 0.100), made_up_cell(study, "b", "Q6_K", 940, 0.103),
                 made_up_cell(study, "c", "F32", 940, 0.2)};
  for (Window& window : study.cells[1].samples) window.peak_memory_bytes = 40'000'000;
  for (CellResult& cell : study.cells) {
    for (Window& window : cell.samples)
      window.energy.grade = Grade::kMeasured, window.energy.systematic = 0.05 * window.energy.joules;
  }
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.choice, 1u);
  EXPECT_EQ(advice.equals, (std::vector<size_t>{1, 0}));
  EXPECT_GT(*advice.regret, 0.02);
  EXPECT_LT(*advice.regret, 0.09);
  expect_says(study, at_least(0.9), "b Q6_K and a Q8_0 were measured within 10 % of each other");
  expect_says(study, at_least(0.9), "b Q6_K costs at most");
  Requirements strict = at_least(0.9);
  strict.within = 0.005;
  EXPECT_EQ(advise(study, strict).equals, std::vector<size_t>{0});
}

/// Sets what asking costs: `joules` a query, with `noise`.
void set_asking(Results& study, double joules, double noise) {
  study.empty = made_up_cell(study, "empty", "", 0, joules, noise);
  study.empty->outputs.clear();
}

TEST(Advice, ACellThatCostsNoMoreThanAskingStaysWithAnIntervalFromZeroAndCanBeChosen) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "rule", "F32", 940, 0.00098),
                 made_up_cell(study, "small", "F32", 940, 0.00099),
                 made_up_cell(study, "dear", "F32", 960, 1)};
  for (Window& window : study.cells[1].samples) window.peak_memory_bytes = 10'000'000;
  set_asking(study, 0.001, 0.002);
  summarise(study);
  for (const size_t place : {0u, 1u}) {
    const Interval& wh = *study.cells[place].wh_per_1000;
    EXPECT_EQ(wh.value, 0);
    EXPECT_EQ(wh.low, 0);
    EXPECT_GT(wh.high, 0);
    EXPECT_LT(wh.high, 0.001 / 3.6);
  }
  EXPECT_TRUE(verify_figures(study).empty());
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.candidates.size(), 3u);
  EXPECT_EQ(advice.equals.size(), 2u);
  EXPECT_EQ(advice.choice, 1u);  // the smaller of the two that cost nothing beyond asking
  EXPECT_EQ(advice.front, (std::vector<size_t>{0, 2}));
  EXPECT_GE(*advice.regret, 0);
  EXPECT_LT(advice.regret_wh, 0.001 / 3.6);
  expect_says(study, at_least(0.9),
              "take too little beyond asking to be told apart; small F32 is the smallest");
  const auto json = to_json(study, at_least(0.9), advice);
  EXPECT_EQ(json.at("choice").at("rung"), "small");
  // Beside one that is no candidate nothing changes; alone it is told apart from the dear one.
  study.cells.erase(study.cells.begin());
  summarise(study);
  expect_says(study, at_least(0.9), "The next takes more than asking: dear F32");
  for (const std::string& line : details(study, advise(study, at_least(0.9))))
    EXPECT_EQ(line.find("inf"), std::string::npos) << line;
  EXPECT_NE(html(study).find("small"), std::string::npos);
}

TEST(Advice, ACellWhoseRoundsLieOnBothSidesOfAskingIsDrawnAsJoules) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "near", "F32", 940, 0.00101, 0.02),
                 made_up_cell(study, "dear", "F32", 940, 0.002)};
  for (CellResult& cell : study.cells) {
    for (Window& window : cell.samples)
      window.energy.grade = Grade::kMeasured, window.energy.systematic = 0.05 * window.energy.joules;
  }
  set_asking(study, 0.001, 0.01);
  for (Window& window : study.empty->samples) window.energy.grade = Grade::kMeasured;
  summarise(study);
  const auto rounds = energy_by_round(study, study.cells[0]);
  ASSERT_TRUE(std::ranges::any_of(rounds, [](const auto& entry) { return entry.second.joules <= 0; }));
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.choice, 0u);
  EXPECT_EQ(*advice.regret, 0);
}

TEST(Advice, TooCloseToTheBar) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "on the bar", "Q4_0", 902, 0.1),
                 made_up_cell(study, "safe", "F32", 960, 1)};
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.choice, 0u);
  EXPECT_NEAR(advice.candidates[0].sure, 0.58, 0.03);
  EXPECT_EQ(advice.n_sure, 1);
  EXPECT_EQ(advice.sure_choice, 1u);
  expect_says(study, at_least(0.9), "To be sure, take safe F32");
  expect_says(study, at_least(0.9), "but this one with a probability of 58 %");
}

TEST(Advice, WhenNoneIsSureItSaysAtWhichBarOneIsAndHowManyRowsWouldDecide) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "F32", 903, 0.1), made_up_cell(study, "b", "F32", 905, 1)};
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.n_sure, 0);
  EXPECT_NEAR(*advice.sure_bar, 0.88, 1e-12);
  EXPECT_EQ(advice.n_sure_below, 2);
  // 1.645^2 x 0.903 x 0.097 / 0.003^2 rows in all.
  EXPECT_NEAR(static_cast<double>(*advice.rows_to_decide), 26'331 - 1000, 20);
  expect_says(study, at_least(0.9), "No rung is sure to reach 90.0 % on new rows (the most likely one:");
  expect_says(study, at_least(0.9), "; at 88 % 2 are.");
  expect_says(study, at_least(0.9), "more evaluation rows would decide");
}

TEST(Advice, TheVerdictOnTwoCellsDoesNotDependOnCellsThatCannotBeChosen) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "Q8_0", 940, 0.10), made_up_cell(study, "b", "F32", 940, 0.106)};
  summarise(study);
  const Advice alone = advise(study, at_least(0.9));
  for (const double joules : {0.01, 0.104, 5.0})
    study.cells.push_back(made_up_cell(study, fmt::format("poor {}", joules), "F32", 850, joules, 0.05, 60));
  summarise(study);
  const Advice beside = advise(study, at_least(0.9));
  EXPECT_EQ(alone.choice, beside.choice);
  EXPECT_EQ(alone.equals, beside.equals);
  EXPECT_EQ(*alone.regret, *beside.regret);
  EXPECT_EQ(alone.candidates[0].sure, beside.candidates[0].sure);
}

TEST(Advice, TwoRoundsTellNoRegretAndNoBreakEven) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "Q8_0", 940, 0.10), made_up_cell(study, "b", "F32", 940, 0.2)};
  for (CellResult& cell : study.cells) cell.samples.resize(3);  // load and two windows
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_EQ(advice.choice, 0u);
  EXPECT_FALSE(advice.regret);
  EXPECT_TRUE(advice.break_even.empty());
  expect_says(study, at_least(0.9), "fewer than three windows");
}

TEST(Advice, NoneReaches) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "F32", 600, 0.1), made_up_cell(study, "b", "F32", 700, 1)};
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  EXPECT_FALSE(advice.choice);
  EXPECT_EQ(advice.best, 1u);
  expect_says(study, at_least(0.9), "No cell reaches");
  expect_says(study, at_least(0.9), "b F32");
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

TEST(Advice, LatencyAndMemoryNearTheirLimitsAreDoubtful) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "F32", 960, 0.1)};
  for (size_t i = 1; i < study.cells[0].samples.size(); ++i) {
    study.cells[0].samples[i].latencies_ms = {9.0 + 0.4 * static_cast<double>(i)};
    study.cells[0].samples[i].peak_memory_bytes = 50'000'000 + static_cast<int64_t>(i);
  }
  summarise(study);
  Requirements wanted = at_least(0.9);
  wanted.p95_ms = 11.2, wanted.memory_bytes = 60'000'000;
  const Candidate near = advise(study, wanted).candidates.at(0);
  EXPECT_GT(near.p95_kept, 0.7);
  EXPECT_LT(near.p95_kept, 0.95);
  EXPECT_GT(near.memory_kept, 0.999);
  wanted.p95_ms = 30;
  EXPECT_GT(advise(study, wanted).candidates.at(0).p95_kept, 0.999);
}

TEST(Advice, BreakEvenCountsTraining) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "trained", "F32", 950, 1, 0.01),
                 made_up_cell(study, "untrained", "F32", 950, 3, 0.01)};
  Window training = study.cells[0].samples[0];
  training.kind = "train";
  training.energy = {2000, 1900, 2100, 0, 1, Grade::kMeasured, "rapl-perf", "package", 1, 100};
  study.cells[0].samples.push_back(training);
  summarise(study);
  const Advice advice = advise(study, at_least(0.9));
  ASSERT_EQ(advice.break_even.size(), 1u);
  const Interval& queries = advice.break_even[0].queries;
  EXPECT_NEAR(queries.value, 1000, 100);  // 2,000 J saved at 2 J a query
  EXPECT_NE(details(study, advice).at(0).find("Its preparation (training) took"), std::string::npos);
  study.cells[0].samples.back().kind = "threshold";
  EXPECT_NE(details(study, advice).at(0).find("Its preparation (choosing thresholds) took"),
            std::string::npos);
  EXPECT_LT(queries.low, 950);
  EXPECT_GT(queries.high, 1050);
}

TEST(Advice, DoubtOfTheModelCountsWhereTheMixDiffers) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "a", "Q8_0", 940, 0.10), made_up_cell(study, "b", "F32", 940, 0.102)};
  const auto set_terms = [](CellResult& cell, double idle_share) {
    for (Window& window : cell.samples) {
      const double joules = window.energy.joules;
      window.energy.model.terms = {{ModelTerm::kIdle, joules * idle_share, 0.5, 1, 2},
                                   {ModelTerm::kFull, joules * (1 - idle_share), 0.6, 1, 1.7}};
    }
  };
  set_terms(study.cells[0], 0.1), set_terms(study.cells[1], 0.1);
  summarise(study);
  const double alike = *advise(study, at_least(0.9)).regret;
  EXPECT_LT(alike, 0.02);
  set_terms(study.cells[1], 0.8);
  summarise(study);
  EXPECT_GT(*advise(study, at_least(0.9)).regret, 0.2);
}

/// A study of numbers by their root mean square error: each cell is off by its own distance, by turns up and
/// down, a little more in every third row.
Results study_of_numbers(const std::vector<double>& distances) {
  Results study = made_up_study(300);
  study.plan.task = "similarity", study.plan.metrics = {"rmse"}, study.plan.quality.reset();
  study.labels.clear();
  for (std::string& truth : study.truths) truth = R"({"score":0.0})";
  const auto rmse = make_metric("rmse");
  for (const double distance : distances) {
    CellResult cell = made_up_cell(study, fmt::format("off by {}", distance), "F32", 0, 1 / distance, 0);
    for (Output& output : cell.outputs) {
      Answer answer;
      answer.value = ScoreAnswer{distance * (output.row % 2 == 0 ? 1 : -1) * (output.row % 3 == 0 ? 1.1 : 1)};
      output.scores = {rmse->row(answer, ScoreTruth{0})};
    }
    study.cells.push_back(std::move(cell));
  }
  summarise(study);
  return study;
}

TEST(Advice, SmallerIsBetterWhereTheMetricSaysSo) {
  const Results study = study_of_numbers({2, 10, 20});
  const Advice advice = advise(study, at_least(12));
  EXPECT_EQ(advice.best, 0u);
  EXPECT_EQ(advice.choice, 1u);  // the cheapest of the two that reach it
  EXPECT_EQ(advice.candidates.size(), 2u);
  EXPECT_GT(advice.candidates[0].sure, 0.99);
  EXPECT_EQ(advice.front, (std::vector<size_t>{2, 1, 0}));
  expect_says(study, at_least(12), "For rmse of at most 12.0, take off by 10 F32: rmse 10.3");
  Requirements drop;
  drop.drop = 9;
  EXPECT_NEAR(advise(study, drop).bar, study.cells[0].quality->value + 9, 1e-9);
  EXPECT_EQ(advise(study, drop).choice, 1u);
  // Between the values that rows drawn anew give: not sure, but at the next bar that one says aloud.
  const double close = 1.001 * study.cells[1].quality->value;
  const Advice doubtful = advise(study, at_least(close));
  EXPECT_NEAR(doubtful.candidates[0].sure, 0.64, 0.08);
  const Advice none = advise(study_of_numbers({10, 20}), at_least(close));
  EXPECT_NEAR(*none.sure_bar, 11, 1e-9);
  EXPECT_GT(*none.rows_to_decide, 0);
}

TEST(Findings, OtherMetricsThanSharesAreComparedByTheBootstrapOfTheSameRows) {
  Results study = study_of_numbers({10, 11});
  for (CellResult& cell : study.cells) cell.rung = "model";
  study.cells[1].precision = "Q2_K";
  const std::vector<std::string> sentences = findings(study);
  ASSERT_EQ(sentences.size(), 1u);
  EXPECT_NE(sentences[0].find("model Q2_K is worse than F32: rmse higher by 1.03"), std::string::npos)
      << sentences[0];
  study.cells[1].outputs = study.cells[0].outputs;
  EXPECT_TRUE(findings(study).empty());
}

}  // namespace
}  // namespace wattle
