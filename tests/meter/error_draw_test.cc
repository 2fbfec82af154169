// Comparisons under the doubt that instruments repeat: what cancels between two figures and what does not.
#include "meter/error_draw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <set>

#include "meter/energy_json.h"
#include "meter/load_pairs.h"
#include "meter/model.h"
#include "meter/server_power.h"
#include "statistics/descriptive.h"

namespace wattle {
namespace {

const std::string kTables = std::string(WATTLE_SOURCE_DIR) + "/../shared/power";

PowerProfile zen5() {
  return load_profile("zen5");
}

Energy modelled(double seconds, double busy_seconds, double macs_fp32 = 0) {
  Activity activity;
  activity.seconds = seconds, activity.busy_seconds = busy_seconds, activity.threads = 2;
  activity.work.macs_fp32 = macs_fp32;
  return modelled_energy(zen5(), activity);
}

Ratio ratio_of_equal_windows(const Energy& a, const Energy& b) {
  return energy_ratio(std::vector<Energy>(5, a), std::vector<Energy>(5, b), false);
}

TEST(ErrorDraw, SleepingAgainstWorkIsAsDoubtfulAsIdleIsAgainstFull) {
  const Energy sleep = modelled(1, 0), work = modelled(0.25, 0.25);
  const Ratio ratio = ratio_of_equal_windows(sleep, work);
  const PowerProfile profile = zen5();
  const auto at_idle = [&](double idle) {
    return 2 * idle / (0.25 * (profile.full_watts_per_thread.value + idle));
  };
  EXPECT_LT(ratio.low, 0.8 * ratio.value);
  EXPECT_GT(ratio.high, 1.25 * ratio.value);
  // No wider than both parameters at their ends, against each other.
  EXPECT_GT(ratio.low, 0.6 * at_idle(profile.idle_watts_per_thread.low));
  EXPECT_LT(ratio.high, 1.6 * at_idle(profile.idle_watts_per_thread.high));
}

TEST(ErrorDraw, TheSameMixCancelsWhateverItsLength) {
  const Ratio ratio = ratio_of_equal_windows(modelled(2, 1, 2e9), modelled(1, 0.5, 1e9));
  EXPECT_NEAR(ratio.low, 2, 1e-9);
  EXPECT_NEAR(ratio.high, 2, 1e-9);
  EXPECT_TRUE(ratio.distinguishable());
}

TEST(ErrorDraw, TheGainOfOneCounterCancelsAndThatOfTwoDoesNot) {
  Energy a;
  a.joules = 110, a.low = 104.5, a.high = 115.5, a.systematic = 5.5, a.grade = Grade::kMeasured,
  a.source = "rapl-perf";
  Energy b = a;
  b.joules = 100, b.low = 95, b.high = 105, b.systematic = 5;
  EXPECT_NEAR(ratio_of_equal_windows(a, b).low, 1.1, 1e-9);
  b.source = "shelly:plug";
  const Ratio apart = ratio_of_equal_windows(a, b);
  EXPECT_NEAR(apart.low, 1.1 * std::exp(-std::hypot(0.05, 0.05)), 0.01);
  EXPECT_NEAR(apart.high, 1.1 * std::exp(std::hypot(0.05, 0.05)), 0.01);
}

TEST(ErrorDraw, AFigureWithoutTermsSharesNothing) {
  Energy a = modelled(1, 0.5);
  a.model = {};
  const Ratio ratio = ratio_of_equal_windows(a, a);
  EXPECT_LT(ratio.low, 0.8);
  EXPECT_GT(ratio.high, 1.25);
}

/// Of a package at a load: the law's watts for a second, with its interval.
Energy on_package(const PowerLaw& law, double half_width, const LoadResult& result) {
  Energy e;
  e.joules = std::exp(law.log_watts(
      package_features(result.design_watts, result.cores, result.full_load_megahertz, result.load)));
  e.low = e.joules * std::exp(-half_width), e.high = e.joules * std::exp(half_width);
  e.seconds = 1, e.grade = Grade::kModelled, e.source = "model:package-law";
  ProcessorId processor;
  processor.cores = 8, processor.threads = 16, processor.megahertz = 2957;
  e.model = modelled_energy(package_profile(processor), {1, 8, 16, {}}).model;
  return e;
}

TEST(ErrorDraw, TheSameLoadOfAPackageCancelsAndOtherLoadsDoSoInPart) {
  LoadResult result;
  result.cores = 8, result.full_load_megahertz = 2957, result.load = 0.5;
  PowerLaw law;  // watts = 5 x load^0.7 a core
  law.uses = {1}, law.coefficients = {0.7};
  const Energy half = on_package(law, 1, result);
  const Ratio same = ratio_of_equal_windows(scaled(half, 2), half);
  EXPECT_NEAR(same.low, 2, 1e-9);
  EXPECT_NEAR(same.high, 2, 1e-9);
  EXPECT_TRUE(same.distinguishable());
  result.load = 0.55;
  const Ratio near = ratio_of_equal_windows(on_package(law, 1, result), half);
  result.load = 1;
  const Ratio far = ratio_of_equal_windows(on_package(law, 1, result), half);
  EXPECT_GT(std::log(near.high / near.low), 0.2);
  EXPECT_GT(std::log(far.high / far.low), 1.5 * std::log(near.high / near.low));
  EXPECT_LT(std::log(far.high / far.low), 2 * std::sqrt(2.0));  // as if they shared nothing
  const Energy back = energy_from_json(nlohmann::json::parse(energy_json(half).dump()));
  EXPECT_EQ(back.model.curve_scale, half.model.curve_scale);
}

/// The scale was fitted so that each of these curves holds 95 %: that the comparisons do what the fit says.
TEST(ErrorDraw, RatiosOfTwoLoadsOfAPackageHoldThoseOfEveryCurve) {
  if (!std::ifstream(kTables + "/rapl_load.csv")) GTEST_SKIP() << kTables << " is absent";
  const std::vector<LoadResult> loads = read_load_results(kTables);
  const double half_width = choose_law(package_points(loads), package_candidates()).log_half_width;
  std::set<std::string> processors;
  for (const LoadResult& one : loads) processors.insert(one.processor);
  for (const std::string& processor : processors) {
    std::vector<LoadResult> own, rest;
    for (const LoadResult& one : loads) (one.processor == processor ? own : rest).push_back(one);
    std::erase_if(own, [](const LoadResult& one) { return one.load < kLeastLoad; });
    const PowerLaw law = choose_law(package_points(rest), package_candidates());
    int inside = 0, all = 0;
    for (const LoadResult& a : own) {
      for (const LoadResult& b : own) {
        if (a.mode != b.mode || a.load <= b.load) continue;
        const Ratio ratio =
            ratio_of_equal_windows(on_package(law, half_width, a), on_package(law, half_width, b));
        inside += ratio.low <= a.watts / b.watts && a.watts / b.watts <= ratio.high;
        ++all;
      }
    }
    EXPECT_GE(all, 70) << processor;
    EXPECT_GE(inside, 0.935 * all) << processor << ": " << inside << " of " << all;
  }
}

/// The honest figure: law, width and scale from three processors, checked on the fourth. A curve that is
/// unlike the three others is not foretold by them; docs/meter.md says both figures.
TEST(ErrorDraw, ScaleOfCurvesOnProcessorsThatHadNoPartInIt) {
  if (!std::ifstream(kTables + "/rapl_load.csv")) GTEST_SKIP() << kTables << " is absent";
  const CurveScaleCheck check = check_curve_scale(read_load_results(kTables));
  printf(
      "%d pairs of loads on %d curves: %.1f %% inside where the scale was fitted, %.1f %% left out (worst "
      "%.1f %%)\n",
      check.pairs, check.processors, 100 * check.fitted, 100 * check.left_out, 100 * check.least_left_out);
  EXPECT_EQ(check.pairs, 334);
  EXPECT_GE(check.fitted, 0.95);
  EXPECT_GE(check.left_out, 0.92);
}

TEST(ErrorDraw, AScaleHoldsMoreTheLessTwoPointsShare) {
  const std::vector<LoadPair> pairs{{"a", 0.1, 0.1}, {"a", 0.5, 0.1}, {"b", 1.2, 2}, {"b", 1.5, 2}};
  EXPECT_EQ(share_inside(pairs, 1, 0), 0.75);    // within root 2
  EXPECT_EQ(share_inside(pairs, 1, 0.5), 0.75);  // 0.1: within 0.60
  EXPECT_EQ(share_inside(pairs, 1, 2), 0.25);    // 0.1: within 0.31; 2: within 1.12
  EXPECT_EQ(share_inside(pairs, 0.05, 1000), 0);
}

TEST(ErrorDraw, TwoWindowsTellNoInterval) {
  const std::vector<Energy> two(2, modelled(1, 0.5)), many(5, modelled(1, 0.5));
  EXPECT_FALSE(energy_ratio(two, many, false).bounded());
  EXPECT_FALSE(energy_ratio(two, two, true).distinguishable());
}

TEST(ErrorDraw, TermsAddUpAndSurviveJson) {
  const Energy sum = scaled(modelled(1, 0.5, 1e9) + modelled(3, 0.25, 2e9), 0.5);
  double joules = 0;
  for (const ModelTerm& term : sum.model.terms) joules += term.amount * term.value;
  EXPECT_NEAR(joules, sum.joules, 1e-12 * sum.joules);
  const Energy back = energy_from_json(nlohmann::json::parse(energy_json(sum).dump()));
  ASSERT_EQ(back.model.terms.size(), sum.model.terms.size());
  EXPECT_EQ(back.model.terms[4].amount, 1.5e9);
  EXPECT_EQ(back.model.idle_full_correlation, sum.model.idle_full_correlation);
  nlohmann::json bad = energy_json(sum);
  bad["model"]["terms"][0]["parameter"] = "magic";
  EXPECT_ANY_THROW(energy_from_json(bad));
}

/// A published server, with what the model would say of it had its maker never published: the median of the
/// others' servers of its family, ranges and correlation from other families.
struct LeftOut {
  ServerResult server;
  RowError idle, full;
};

std::vector<LeftOut> left_out(const std::vector<ServerResult>& results) {
  const std::vector<RowError> idle = row_errors(results, &ServerResult::idle_watts),
                              full = row_errors(results, &ServerResult::full_watts);
  std::vector<LeftOut> all;
  for (const ServerResult& result : results) {
    const bool has_others = std::any_of(results.begin(), results.end(), [&](const ServerResult& other) {
      return other.family == result.family && other.maker != result.maker;
    });
    if (has_others) all.push_back({result, idle.at(all.size()), full.at(all.size())});
  }
  return all;
}

TEST(ErrorDraw, RatiosOfTwoLoadsHoldThoseOfPublishedServersLeftOut) {
  if (!std::ifstream(kTables + "/specpower.csv")) GTEST_SKIP() << kTables << " is absent";
  const std::vector<LeftOut> servers = left_out(read_server_results(kTables));
  std::set<std::string> families;
  for (const LeftOut& one : servers) families.insert(one.server.family);
  constexpr double kLoads[][2] = {{0.1, 1}, {0.3, 0.6}, {0.1, 0.2}, {0.5, 0.9}};
  int inside = 0, all = 0;
  std::vector<double> widths;
  for (const std::string& family : families) {
    std::vector<RowError> idle, full;
    for (const LeftOut& one : servers) {
      if (one.server.family != family) idle.push_back(one.idle), full.push_back(one.full);
    }
    const double idle_half = row_half_width(idle), full_half = row_half_width(full);
    PowerProfile profile = zen5();
    profile.idle_full_correlation = idle_full_correlation(idle, full);
    for (const LeftOut& one : servers) {
      if (one.server.family != family) continue;
      const auto range = [](double watts, double half) {
        return Range{watts * std::exp(-half), watts, watts * std::exp(half)};
      };
      profile.idle_watts_per_thread = range(one.server.idle_watts * std::exp(-one.idle.log_error), idle_half);
      profile.full_watts_per_thread = range(one.server.full_watts * std::exp(-one.full.log_error), full_half);
      const auto [first, second] = kLoads[all % 4];
      const auto energy = [&](double load) {
        Activity activity;
        activity.seconds = 1, activity.busy_seconds = load;
        return modelled_energy(profile, activity);
      };
      const auto watts = [&](double load) {
        return one.server.idle_watts + load * (one.server.full_watts - one.server.idle_watts);
      };
      const Ratio ratio = ratio_of_equal_windows(energy(first), energy(second));
      const double truth = watts(first) / watts(second);
      inside += ratio.low <= truth && truth <= ratio.high;
      widths.push_back(std::log(ratio.high / ratio.low));
      ++all;
    }
  }
  RecordProperty("coverage", std::to_string(100.0 * inside / all));
  EXPECT_GE(all, 100);
  EXPECT_GE(inside, 0.935 * all) << inside << " of " << all;
  EXPECT_LE(inside, 0.985 * all) << inside << " of " << all;
  EXPECT_LT(median(widths), 0.6);
}

}  // namespace
}  // namespace wattle
