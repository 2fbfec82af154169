#include <gtest/gtest.h>
#include <wattle/study.h>

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
  for (const int windows : {1, 5, 50}) {
    for (const Grade grade : {Grade::kMeasured, Grade::kAttributed, Grade::kModelled}) {
      const Interval wh = *study_of(windows, grade).cells[0].wh_per_1000;
      EXPECT_NEAR(wh.low / wh.value, 0.95, 1e-9) << windows;
      EXPECT_NEAR(wh.high / wh.value, 1.05, 1e-9) << windows;
    }
  }
}

TEST(Summary, AWindowKeepsItsWholeEnergyOnTheWayFromTheWorker) {
  Window window = study_of(1, Grade::kMeasured).cells[0].samples[0];
  window.energy.idle_known = true, window.energy.idle_joules = 20, window.energy.idle_half = 1;
  window.energy.resolution = 2;
  const Energy back = window_from_json(nlohmann::json::parse(to_json(window).dump())).energy;
  EXPECT_EQ(back.systematic, 5);
  EXPECT_EQ(back.resolution, 2);
  EXPECT_TRUE(back.idle_known);
  EXPECT_EQ(back.idle_joules, 20);
  EXPECT_EQ(back.idle_half, 1);
}

}  // namespace
}  // namespace wattle
