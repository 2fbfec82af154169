#include <gtest/gtest.h>
#include <wattle/error.h>
#include <wattle/meter.h>

#include <cmath>

#include "base/work.h"
#include "meter/model.h"

namespace wattle {
namespace {

Energy energy(double joules, double half, double systematic, Grade grade, const std::string& source) {
  Energy e;
  e.joules = joules;
  e.low = joules - half;
  e.high = joules + half;
  e.systematic = systematic;
  e.grade = grade;
  e.source = source;
  e.scope = "package";
  e.seconds = 1;
  return e;
}

TEST(Energy, SumsTakeTheWorstGradeAndAddIndependentIntervalsInQuadrature) {
  const Energy sum =
      energy(10, 3, 0, Grade::kMeasured, "rapl") + energy(20, 4, 0, Grade::kModelled, "model:zen4");
  EXPECT_EQ(sum.grade, Grade::kModelled);
  EXPECT_DOUBLE_EQ(sum.joules, 30);
  EXPECT_DOUBLE_EQ(sum.low, 25);
  EXPECT_DOUBLE_EQ(sum.high, 35);
  EXPECT_EQ(sum.source, "rapl+model:zen4");
  EXPECT_EQ(sum.windows, 1);
}

TEST(Energy, WhatOneInstrumentRepeatsAddsLinearly) {
  const Energy sum =
      energy(100, 5, 5, Grade::kMeasured, "rapl") + energy(100, 5, 5, Grade::kMeasured, "rapl");
  EXPECT_DOUBLE_EQ(sum.high - sum.joules, 10);
  EXPECT_EQ(sum.windows, 2);
  EXPECT_DOUBLE_EQ(sum.seconds, 2);
}

TEST(Energy, PartsAddUpToTheWindowToTheLastBit) {
  uint64_t state = 1;
  for (int trial = 0; trial < 50000; ++trial) {
    std::vector<double> weights(1 + trial % 37);
    for (double& weight : weights) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      weight = static_cast<double>(state >> 40);
    }
    weights[0] += 1;
    const Energy whole = energy(1e-3 * static_cast<double>(state >> 30) / 7, 1, 0, Grade::kMeasured, "rapl");
    // Weights of phases differ by orders of magnitude, and the last ones may be zero.
    if (trial % 3 == 0) {
      for (size_t i = 1; i < weights.size(); ++i) weights[i] *= std::pow(10, -static_cast<double>(i % 12));
    }
    if (trial % 5 == 0 && weights.size() > 3) weights.back() = 0;
    double sum = 0;
    for (const Energy& part : split(whole, weights)) {
      EXPECT_EQ(part.grade, Grade::kAttributed);
      EXPECT_GE(part.joules, 0);
      sum += part.joules;
    }
    ASSERT_EQ(sum, whole.joules);
  }
  EXPECT_THROW(split(Energy{}, std::vector<double>{0, 0}), Error);
  EXPECT_THROW(split(Energy{}, std::vector<double>{1, -1}), Error);
}

TEST(Model, FamiliesAreFoundByCpuidAndByName) {
  ProcessorId processor;
  processor.vendor = "AuthenticAMD", processor.name = "AMD EPYC", processor.family = 25, processor.model = 17;
  EXPECT_EQ(find_profile(processor).name, "zen4");
  processor = {};
  processor.family = 6, processor.model = 85, processor.stepping = 7;
  EXPECT_EQ(find_profile(processor).name, "cascade-lake");
  processor.stepping = 4;
  EXPECT_EQ(find_profile(processor).name, "skylake");
  processor = {};
  processor.name = "AMD EPYC 9965 192-Core Processor";
  EXPECT_EQ(find_profile(processor).name, "zen5c");
  processor.name = "Yoyodyne 4000";
  EXPECT_EQ(find_profile(processor).name, "unknown");
  EXPECT_FALSE(find_profile(processor).recognised);
  // Of a family that is not listed the vendor alone is known.
  processor.vendor = "AuthenticAMD", processor.family = 99;
  EXPECT_EQ(find_profile(processor).name, "unknown-amd");
  processor.vendor = "GenuineIntel";
  EXPECT_EQ(find_profile(processor).name, "unknown-intel");
  EXPECT_FALSE(find_profile(processor).recognised);
}

TEST(Model, EnergyIsTheSumOfItsTerms) {
  const PowerProfile profile = load_profile("zen4");
  Activity activity;
  activity.seconds = 10;
  activity.threads = 2;
  activity.busy_seconds = 5;
  activity.work.macs_int8 = 1e12;
  activity.work.weight_bytes = 1e10;
  const Energy e = modelled_energy(profile, activity);
  EXPECT_NEAR(e.joules,
              15 * profile.idle_watts_per_thread.value + 5 * profile.full_watts_per_thread.value +
                  profile.int8_pj.value + 0.01 * profile.byte_pj.value,
              1e-9);
  EXPECT_LT(e.low, e.joules);
  EXPECT_GT(e.high, e.joules);
  EXPECT_EQ(e.grade, Grade::kModelled);
  EXPECT_NEAR(e.idle_joules, 20 * profile.idle_watts_per_thread.value, 1e-9);
}

TEST(Meter, TheModelledSourceOpensOnAnyMachineAndCountsWork) {
  MeterOptions options;
  options.source = "model";
  const auto meter = Meter::open(options);
  EXPECT_EQ(meter->grade(), Grade::kModelled);
  const auto begin = meter->begin();
  Work work;
  work.macs_fp32 = 1e12;
  const Energy with_work = meter->end(begin, &work);
  EXPECT_GT(with_work.joules, 1.0);  // a tera of multiply-adds at picojoules each
  options.require_measured = true;
  try {
    Meter::open(options);
    FAIL() << "the model is not measured";
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_status(), 3);
  }
}

}  // namespace
}  // namespace wattle
