#include <cmath>

#include <gtest/gtest.h>
#include <wattle/study.h>

#include "study/published.h"
#include "study/summary.h"
#include "study/window_json.h"

namespace wattle {
namespace {

/// Windows of one query whose joules are known to 5 % by the gain of their counter.
Results study_of(int windows, Grade grade) {
  Results results;
  CellResult& cell = results.cells.emplace_back();
  for (int i = 0; i < windows; ++i) {
    Window& window = cell.samples.emplace_back();
    window.kind = "queries";
    window.queries = 1;
    window.round = i;
    window.energy.joules = 100, window.energy.low = 95, window.energy.high = 105;
    window.energy.systematic = 5;
    window.energy.grade = grade;
    window.energy.source = "rapl-perf";
    window.energy.seconds = 1;
  }
  summarise(results);
  return results;
}

TEST(Summary, FiveWindowsOfOneCounterOfFivePercentGainComeOutAtFivePercent) {
  for (const int windows : {3, 5, 50}) {
    for (const Grade grade : {Grade::kMeasured, Grade::kAttributed, Grade::kModelled}) {
      const Interval wh = *study_of(windows, grade).cells[0].wh_per_1000;
      EXPECT_NEAR(wh.low / wh.value, 0.95, 1e-9) << windows;
      EXPECT_NEAR(wh.high / wh.value, 1.05, 1e-9) << windows;
    }
  }
}

TEST(Summary, FewerThanThreeWindowsHaveAValueAndNoInterval) {
  for (const int windows : {1, 2}) {
    const CellResult cell = study_of(windows, Grade::kMeasured).cells[0];
    EXPECT_NEAR(cell.wh_per_1000->value, 100 * 1000 / 3600.0, 1e-9);
    EXPECT_FALSE(cell.wh_per_1000->bounded());
    EXPECT_TRUE(std::isnan(cell.wh_statistical));
    CellResult back;
    take_published_figures(published_figures(cell), back);
    EXPECT_FALSE(back.wh_per_1000->bounded());
    EXPECT_EQ(published_figures(back), published_figures(cell));
  }
}

TEST(Summary, WindowsThatSpreadWidenTheIntervalByStudent) {
  Results results = study_of(3, Grade::kMeasured);
  for (int i = 0; i < 3; ++i) {
    Energy& energy = results.cells[0].samples[static_cast<size_t>(i)].energy;
    energy = scaled(energy, std::exp(0.1 * (i - 1)));
  }
  summarise(results);
  const Interval wh = *results.cells[0].wh_per_1000;
  EXPECT_NEAR(wh.value, 100 / 3.6, 1e-9);
  const double spread = std::exp(4.302652729911275 * 0.1 / std::sqrt(3)) - 1;  // t of two degrees
  EXPECT_NEAR(wh.high / wh.value - 1, std::hypot(spread, 0.05), 1e-3);
}

TEST(Summary, NetPreparationAndCarbonHaveIntervals) {
  Results results = study_of(4, Grade::kMeasured);
  results.plan.zone = "FRA";
  CellResult& cell = results.cells[0];
  for (Window& window : cell.samples)
    window.energy.idle_known = true, window.energy.idle_joules = 80, window.energy.idle_half = 2;
  cell.samples.push_back(cell.samples[0]);
  cell.samples.back().kind = "train";
  cell.samples.push_back(cell.samples.back());
  cell.samples.back().kind = "convert";
  summarise(results);
  // 20 J above idle: 5 % of them by gain, and 2 J of idle, a window.
  EXPECT_NEAR(cell.net_wh_per_1000->value, 20 / 3.6, 1e-9);
  EXPECT_GT(cell.net_wh_per_1000->half(), 0.9 / 3.6);
  EXPECT_LT(cell.net_wh_per_1000->half(), 2.3 / 3.6);
  // Gain repeats in both windows of the preparation.
  EXPECT_NEAR(cell.preparation_wh->value, 200 / 3600.0, 1e-9);
  EXPECT_NEAR(cell.preparation_wh->half(), 10 / 3600.0, 1e-9);
  EXPECT_NEAR(cell.grams_per_1000->high / cell.grams_per_1000->value, 1.05, 1e-9);
  cell.samples[0].energy.idle_known = false;
  summarise(results);
  EXPECT_FALSE(cell.net_wh_per_1000);
}

TEST(Summary, WhatAskingCostsIsTakenOffWithItsDoubt) {
  Results results = study_of(5, Grade::kMeasured);
  results.empty = results.cells[0];
  for (Window& window : results.empty->samples) window.energy = scaled(window.energy, 0.2);
  summarise(results);
  const Interval wh = *results.cells[0].wh_per_1000;
  EXPECT_NEAR(wh.value, 80 / 3.6, 1e-9);
  EXPECT_NEAR(wh.low / wh.value, 0.95, 1e-9);  // one counter: its gain is wrong by as much of the difference
  EXPECT_NEAR(results.empty->wh_per_1000->value, 20 / 3.6, 1e-9);
  // Steps of the counter, in windows of either: they add in quadrature and shrink with the windows.
  for (CellResult* cell : {&results.cells[0], &*results.empty}) {
    for (Window& window : cell->samples) {
      Energy& energy = window.energy;
      const double half = std::hypot(energy.systematic, 6);
      energy.low = energy.joules - half, energy.high = energy.joules + half, energy.resolution = 6;
    }
  }
  summarise(results);
  EXPECT_GT(results.cells[0].wh_per_1000->half() * 3.6, std::hypot(4, 6 / std::sqrt(5)));
}

TEST(Summary, AWindowKeepsItsWholeEnergyOnTheWayFromTheWorker) {
  Window window = study_of(1, Grade::kMeasured).cells[0].samples[0];
  window.energy.idle_known = true, window.energy.idle_joules = 20, window.energy.idle_half = 1;
  window.energy.resolution = 2;
  window.readings = R"({"model":{}})", window.readings_sha256 = "ab";
  const Window whole = window_from_json(nlohmann::json::parse(to_json(window).dump()));
  EXPECT_EQ(whole.readings, window.readings);
  EXPECT_EQ(whole.readings_sha256, "ab");
  const Energy& back = whole.energy;
  EXPECT_EQ(back.systematic, 5);
  EXPECT_EQ(back.resolution, 2);
  EXPECT_TRUE(back.idle_known);
  EXPECT_EQ(back.idle_joules, 20);
  EXPECT_EQ(back.idle_half, 1);
}

}  // namespace
}  // namespace wattle
