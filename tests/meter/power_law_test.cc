// The laws of the modelled source: that they are fitted as said, and that their intervals hold published
// watts of machines that they have not seen.
#include <gtest/gtest.h>
#include <wattle/error.h>

#include <cmath>
#include <fstream>
#include <map>

#include "meter/model.h"
#include "meter/server_power.h"
#include "meter/validate.h"

namespace wattle {
namespace {

const std::string kTables = std::string(WATTLE_SOURCE_DIR) + "/../shared/power";

bool tables_absent() {
  return !std::ifstream(kTables + "/specpower.csv");
}

TEST(PowerLaw, LeastSquaresFindsTheCoefficientsOfExactPoints) {
  std::vector<LawPoint> points;
  for (int i = 1; i < 9; ++i) {
    const double x = i, z = i * i % 5;
    points.push_back({i % 2 ? "a" : "b", {1, x, z, 100}, 3 - 0.5 * x + 2 * z});
  }
  const PowerLaw law = fit_law(points, {"x and z", -1, {0, 1, 2}});
  EXPECT_NEAR(law.coefficients[0], 3, 1e-9);
  EXPECT_NEAR(law.coefficients[1], -0.5, 1e-9);
  EXPECT_NEAR(law.coefficients[2], 2, 1e-9);
  // A scale has coefficient 1: what is left is fitted.
  const PowerLaw scaled = fit_law(points, {"scaled by x", 1, {0, 1, 2}});
  EXPECT_NEAR(scaled.coefficients[1], -1.5, 1e-9);
  EXPECT_NEAR(scaled.log_watts(points[3].features), points[3].log_watts, 1e-9);
}

TEST(PowerLaw, TheLawThatMeetsLeftOutGroupsIsChosen) {
  // x tells groups apart by accident: it fits inside, and fails on a group that was left out.
  std::vector<LawPoint> points;
  for (int group = 0; group < 4; ++group) {
    for (int i = 0; i < 5; ++i) {
      const double z = i + 0.3 * group;
      points.push_back({std::string(1, static_cast<char>('a' + group)),
                        {1, std::pow(-3.0, group), z},
                        z + 0.05 * ((i * 7 + group * 3) % 5)});
    }
  }
  const PowerLaw law = choose_law(points, {{"accident", -1, {0, 1}}, {"law", -1, {0, 2}}});
  EXPECT_EQ(law.name, "law");
  EXPECT_GT(law.log_half_width, 0.02);
  EXPECT_LT(law.log_half_width, 0.3);
  EXPECT_THROW(choose_law({points[0], points[1]}, {{"law", -1, {0}}}), Error);
}

TEST(PowerLaw, ConformalQuantilesTakeTheRankOfOneMorePoint) {
  EXPECT_EQ(conformal_quantile({3, 1, 2}, 0.5), 2);
  EXPECT_EQ(conformal_quantile({3, 1, 2}, 0.95), 3);
  std::vector<double> hundred;
  for (int i = 1; i <= 100; ++i) hundred.push_back(i);
  EXPECT_EQ(conformal_quantile(hundred, 0.95), 96);
}

TEST(PowerLaw, IntervalsHoldServersAndLoadCurvesThatTheFitHasNotSeen) {
  if (tables_absent()) GTEST_SKIP() << kTables << " is absent";
  std::map<std::string, LawCheck> first;  // the laws come first, then rows and laws to compare with
  std::vector<LawCheck> rows, unlisted;
  for (const LawCheck& check : validate_power_laws(kTables)) {
    if (check.law == "median a thread of the family") rows.push_back(check);
    if (check.law == "watts a thread of the vendor's families") unlisted.push_back(check);
    first.emplace(check.what, check);
  }
  for (const char* what : {"servers, full load", "servers, idle", "package under load", "all of these"}) {
    const LawCheck& check = first.at(what);
    EXPECT_LT(check.median_error, 0.20) << what;
    EXPECT_GE(check.coverage, 0.90) << what;
  }
  EXPECT_GE(first.at("servers, idle").points, 100);
  EXPECT_GE(first.at("servers, idle").groups, 15);
  // What is left to a processor whose family is not listed: full load by vendor. Idle has no better law yet.
  EXPECT_LT(unlisted.at(0).median_error, 0.20);
  for (const LawCheck& check : unlisted) EXPECT_GE(check.coverage, 0.90) << check.what;
  ASSERT_EQ(rows.size(), 2u);
  for (const LawCheck& check : rows) {
    EXPECT_LT(check.median_error, 0.20) << check.what;
    EXPECT_GE(check.coverage, 0.90) << check.what;
  }
}

TEST(PowerLaw, WhatIsBuiltInIsWhatTheTablesGive) {
  if (tables_absent()) GTEST_SKIP() << kTables << " is absent";
  std::ifstream file(std::string(WATTLE_SOURCE_DIR) + "/data/server_power.yaml");
  const std::string committed((std::istreambuf_iterator<char>(file)), {});
  EXPECT_EQ(to_yaml(fit_server_power(kTables)), committed);
  EXPECT_THROW(parse_server_power("laws: 3", "x.yaml"), Error);
}

TEST(PowerLaw, AStatedServerGetsTheLawsWatts) {
  ProcessorId processor;
  processor.vendor = "AuthenticAMD";
  // SPECpower result of 2024: two EPYC 9965, 384 cores, 800 W full, 150 W idle.
  const PowerProfile profile = server_profile("tdp=500,chips=2,memory=384,threads=768,year=2024", processor);
  EXPECT_LT(profile.full_watts_per_thread.low * 768, 800);
  EXPECT_GT(profile.full_watts_per_thread.high * 768, 800);
  EXPECT_LT(profile.idle_watts_per_thread.low * 768, 150);
  EXPECT_GT(profile.idle_watts_per_thread.high * 768, 150);
  EXPECT_THROW(server_profile("tdp=500,chips=2", processor), Error);
  EXPECT_THROW(server_profile("tdp=many,chips=2,memory=1,threads=1,year=2024", processor), Error);
  EXPECT_THROW(server_profile("tdp=500,chips=2,memory=384,threads=768,year=2024", ProcessorId{}), Error);
}

TEST(PowerLaw, PackagesAreModelledByCoresClockAndLoad) {
  ProcessorId processor;
  processor.cores = 8, processor.threads = 16, processor.megahertz = 2957;
  const PowerProfile profile = package_profile(processor);
  Activity activity;
  activity.seconds = 10, activity.threads = 16;
  activity.busy_seconds = 160;
  const Energy full = modelled_energy(profile, activity);
  EXPECT_EQ(full.scope, "package");
  EXPECT_LT(full.low, 460.0);  // EPYC 8024P: 46 W
  EXPECT_GT(full.high, 460.0);
  activity.busy_seconds = 80;
  const Energy half = modelled_energy(profile, activity);
  EXPECT_GT(half.joules, 0.5 * full.joules);  // the curve is concave
  EXPECT_LT(half.joules, full.joules);
  activity.busy_seconds = 0;
  EXPECT_EQ(modelled_energy(profile, activity).low, 0);
  EXPECT_THROW(package_profile(ProcessorId{}), Error);
}

}  // namespace
}  // namespace wattle
