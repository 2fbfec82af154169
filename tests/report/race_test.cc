#include "report/race.h"

#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "report/made_up.h"
#include "report/race_evidence.h"
#include "report/report.h"

namespace wattle {
namespace {

/// Two cells: the first `a` rows are right by the first alone, the next `b` by the second alone, `both` by
/// both.
Results two_cells(int rows, int a, int b, int both) {
  Results study = made_up_study(rows);
  for (int of = 0; of < 2; ++of) {
    CellResult& cell = study.cells.emplace_back(made_up_cell(study, of == 0 ? "a" : "b", "", rows, 1));
    for (int row = 0; row < rows; ++row) {
      const bool alone = of == 0 ? row < a : row >= a && row < a + b;
      const bool is_right = alone || (row >= a + b && row < a + b + both);
      cell.outputs[static_cast<size_t>(row)] = made_up_output(study, row, is_right);
    }
  }
  summarise(study);
  return study;
}

// The tail probabilities are those of scipy.stats.binom and beta.
TEST(QualityEvidence, IsExactForSharesOfRightAnswers) {
  const Results bars = two_cells(80, 32, 0, 40);  // 72 and 40 right of 80
  const QualityEvidence quality(bars, {0, 1});
  EXPECT_TRUE(quality.reaches(0, 0.8, 0.013088));
  EXPECT_FALSE(quality.reaches(0, 0.8, 0.013087));
  EXPECT_TRUE(quality.below(1, 0.6, 0.044498));
  EXPECT_FALSE(quality.below(1, 0.6, 0.044497));
  const Results pair = two_cells(80, 12, 2, 30);
  const QualityEvidence of_pair(pair, {0, 1});
  EXPECT_TRUE(of_pair.not_worse(0, 1, 0, 0.00647));
  EXPECT_FALSE(of_pair.not_worse(0, 1, 0, 0.00646));
  const Results margin = two_cells(100, 20, 2, 30);
  const QualityEvidence with_margin(margin, {0, 1});
  EXPECT_TRUE(with_margin.not_worse(0, 1, -0.11462 - 0.08942 + 0.2293, 0.001));
  EXPECT_FALSE(with_margin.not_worse(0, 1, 0.02519, 0.001));
}

TEST(QualityEvidence, SaysHowManyRowsWouldTell) {
  const Results study = two_cells(100, 5, 1, 60);
  const QualityEvidence quality(study, {0, 1});
  const auto rows = quality.rows_for_bar(0, 0.6, 0.05);
  ASSERT_TRUE(rows);
  EXPECT_EQ(*rows, static_cast<int64_t>(std::ceil(1.644854 * 1.644854 * 0.65 * 0.35 / (0.05 * 0.05))) - 100);
  EXPECT_TRUE(quality.rows_for_pair(0, 1, 0.01, 0.001));
  EXPECT_FALSE(quality.rows_for_pair(1, 0, 0.01, 0.001)) << "it is worse by more than the margin";
}

TEST(EnergyEvidence, IsStudentsOfTheRoundsThatBothHave) {
  Results study = two_cells(20, 5, 0, 10);
  const double first[] = {2.0, 2.2, 2.1, 1.9, 9}, second[] = {1, 1, 1, 1, 1};
  for (size_t i = 0; i < 5; ++i) {
    for (size_t of = 0; of < 2; ++of) {
      Window& window = study.cells[of].samples[i + 1];
      const double joules = 100 * (of == 0 ? first[i] : second[i]);
      window.energy = {joules, joules, joules, 0, 1, Grade::kMeasured, "rapl-perf", "package", 1};
    }
  }
  study.cells[1].samples.pop_back();  // the last round is the first cell's alone
  summarise(study);
  const EnergyEvidence energy(study, {0, 1});
  // Mean and deviation of the logarithms of 2.0, 2.2, 2.1, 1.9; half of alpha is the instrument's, which here
  // cancels: t(0.975, 3) = 3.182446.
  EXPECT_NEAR(energy.log_ratio(0, 1), 0.716349, 1e-6);
  EXPECT_NEAR(energy.at_least(0, 1, 0.05), 0.716349 - 3.182446 * 0.063093 / 2, 1e-5);
  EXPECT_NEAR(energy.at_most(1, 0, 0.05), -energy.at_least(0, 1, 0.05), 1e-12);
  EXPECT_LT(energy.at_most_after(0, 1, 0.05, 20), energy.at_most(0, 1, 0.05));
}

TEST(Race, NobodyIsStoppedBeforeTheThirdRound) {
  Results study = made_up_study(100);
  study.cells.push_back(made_up_cell(study, "good", "", 95, 1));
  study.cells.push_back(made_up_cell(study, "bad", "", 20, 50));
  RaceOptions options;
  options.quality = 0.8;
  for (int rounds = 1; rounds <= 5; ++rounds) {
    Results so_far = study;
    for (CellResult& cell : so_far.cells)
      std::erase_if(cell.samples, [&](const Window& window) { return window.round >= rounds; });
    summarise(so_far);
    Race race;
    race.rounds = rounds;
    look_at_race(so_far, options, race);
    EXPECT_EQ(race.stopped.size(), rounds < 3 ? 0u : 1u) << rounds;
    if (rounds < 3) continue;
    EXPECT_EQ(race.stopped.begin()->second,
              "after round " + std::to_string(rounds) + ": its accuracy surely does not reach 80.0 %");
    EXPECT_TRUE(race.decided) << race.ended;
  }
}

TEST(Race, WhoIsAsGoodAndCheaperStopsTheOther) {
  Results study = made_up_study(1500);
  study.cells.push_back(made_up_cell(study, "cheap", "", 1300, 1));
  study.cells.push_back(made_up_cell(study, "dear", "", 1295, 5));
  study.cells.push_back(made_up_cell(study, "better", "", 1450, 5));
  study.cells.push_back(made_up_cell(study, "broken", "", 0, 1));
  study.cells[3].error = "cut";
  summarise(study);
  study.race.emplace();
  study.race->rounds = 5;
  look_at_race(study, {}, *study.race);
  ASSERT_EQ(study.race->stopped.size(), 1u);
  EXPECT_EQ(study.race->stopped.at("dear"), "after round 5: cheap is as good to 1.0 % and surely costs less");
  EXPECT_TRUE(study.race->decided) << study.race->ended;
  const std::string text = table(study, false);
  EXPECT_NE(text.find("dear stopped after round 5: cheap is as good"), std::string::npos) << text;
  EXPECT_NE(text.find("Decided after 5 rounds."), std::string::npos);
}

TEST(Race, SaysThatMoreRowsAreNeeded) {
  Results study = made_up_study(80);
  study.cells.push_back(made_up_cell(study, "near", "", 66, 1));
  study.cells.push_back(made_up_cell(study, "far", "", 30, 0.1));
  summarise(study);
  Race race;
  race.rounds = 5;
  RaceOptions options;
  options.quality = 0.8;
  look_at_race(study, options, race);
  EXPECT_FALSE(race.decided);
  EXPECT_NE(race.ended.find("more evaluation rows would tell whether near reaches 80.0 %"), std::string::npos)
      << race.ended;
}

TEST(Race, EndsWhereNothingCanBeMeasured) {
  Results study = made_up_study(10);
  study.cells.push_back(made_up_cell(study, "broken", "", 5, 1));
  study.cells[0].error = "cut";
  Race race;
  race.rounds = 1;
  look_at_race(study, {}, race);
  EXPECT_EQ(race.ended, "No rung could be measured.");
}

TEST(Race, GoesOnUntilAllRowsWereAsked) {
  Results study = made_up_study(1000);
  study.plan.rounds = 8;
  study.cells.push_back(made_up_cell(study, "one", "", 950, 1));
  study.cells[0].outputs.resize(600);
  summarise(study);
  Race race;
  race.rounds = 5;
  RaceOptions options;
  options.quality = 0.8;
  look_at_race(study, options, race);
  EXPECT_EQ(race.ended, "");
}

}  // namespace
}  // namespace wattle
