#include <gtest/gtest.h>
#include <wattle/error.h>
#include <wattle/meter.h>

#include <cmath>

#include "base/work.h"
#include "meter/energy_json.h"
#include "meter/machine_meter.h"
#include "meter/model.h"
#include "simulated_machine.h"

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

double half(const Energy& e) {
  EXPECT_NEAR(e.high - e.joules, e.joules - e.low, 1e-9);
  return (e.high - e.low) / 2;
}

TEST(Energy, FiveWindowsOfOneCounterOfFivePercentGainComeOutAtFivePercent) {
  const std::vector<Energy> windows(5, energy(100, 5, 5, Grade::kMeasured, "rapl-perf"));
  const Energy mean = mean_energy(windows);
  EXPECT_DOUBLE_EQ(mean.joules, 100);
  EXPECT_NEAR(half(mean), 5, 1e-12);
  EXPECT_NEAR(mean.systematic, 5, 1e-12);
  EXPECT_EQ(mean.windows, 5);
  Energy sum;
  for (const Energy& window : windows) sum = sum + window;
  EXPECT_DOUBLE_EQ(sum.joules, 500);
  EXPECT_NEAR(half(sum), 25, 1e-12);
}

TEST(Energy, WhatIsIndependentShrinksWithTheRootOfTheWindowsAndGainDoesNot) {
  for (const int n : {1, 4, 25, 100}) {
    for (const double gain : {0.0, 1.0, 5.0}) {
      const double random = 3;
      Energy window = energy(100, std::hypot(gain, random), gain, Grade::kMeasured, "nvml");
      window.resolution = random;
      const Energy mean = mean_energy(std::vector<Energy>(static_cast<size_t>(n), window));
      EXPECT_NEAR(half(mean), std::hypot(gain, random / std::sqrt(n)), 1e-9) << n << " " << gain;
      EXPECT_NEAR(mean.resolution, random / std::sqrt(n), 1e-9);
      EXPECT_NEAR(mean.systematic, gain, 1e-9);
    }
  }
}

TEST(Energy, AModelsDoubtIsThatOfEveryWindow) {
  Energy window = energy(100, 0, 0, Grade::kModelled, "model:zen4");
  window.low = 60, window.high = 190;
  const Energy mean = mean_energy(std::vector<Energy>(9, window));
  EXPECT_NEAR(mean.low, 60, 1e-9);
  EXPECT_NEAR(mean.high, 190, 1e-9);
}

TEST(Energy, OneInstrumentIsKnownAmongSeveral) {
  const Energy both =
      energy(100, 3, 3, Grade::kMeasured, "rapl-perf") + energy(100, 4, 4, Grade::kMeasured, "nvml");
  EXPECT_DOUBLE_EQ(half(both), 5);
  EXPECT_DOUBLE_EQ(both.seconds, 1);  // both cover the same second
  EXPECT_DOUBLE_EQ(half(both + both), 10);
  const Energy later = both + energy(50, 2, 2, Grade::kMeasured, "nvml");
  EXPECT_DOUBLE_EQ(half(later), 7);
  EXPECT_DOUBLE_EQ(later.seconds, 2);
}

TEST(Energy, ADifferenceKeepsTheGainOfWhatIsLeftAndTheNoiseOfBoth) {
  const Energy a = energy(100, std::hypot(5.0, 3.0), 5, Grade::kMeasured, "rapl");
  const Energy b = energy(60, std::hypot(3.0, 4.0), 3, Grade::kMeasured, "rapl");
  const Energy rest = difference(a, b);
  EXPECT_DOUBLE_EQ(rest.joules, 40);
  EXPECT_NEAR(rest.systematic, 2, 1e-12);
  EXPECT_NEAR(half(rest), std::hypot(2.0, 5.0), 1e-9);
  EXPECT_NEAR(half(difference(b, a)), std::hypot(2.0, 5.0), 1e-9);  // below zero, and said to be so
  EXPECT_LT(difference(b, a).high, 0);
  // Two instruments have nothing in common, nor have two windows of a model as far as anybody knows.
  EXPECT_NEAR(half(difference(a, energy(60, 5, 3, Grade::kMeasured, "nvml"))), std::sqrt(25 + 9 + 9 + 16),
              1e-9);
  const Energy modelled = energy(100, 40, 0, Grade::kModelled, "model:zen4");
  EXPECT_NEAR(half(difference(modelled, modelled)), 40 * std::sqrt(2), 1e-9);
}

TEST(Energy, NetOfIdleCarriesTheDoubtOfBoth) {
  Energy window = energy(100, std::hypot(5.0, 1.0), 5, Grade::kMeasured, "rapl");
  EXPECT_THROW(net_of_idle(window), Error);
  window.idle_known = true, window.idle_joules = 60, window.idle_half = 2;
  const Energy net = net_of_idle(window);
  EXPECT_DOUBLE_EQ(net.joules, 40);
  EXPECT_NEAR(half(net), std::sqrt(2.0 * 2 + 1 + 4), 1e-9);  // 5 % of 40 J, 1 J of the window, 2 J of idle
}

TEST(Energy, ASpreadReplacesIndependentErrorsThatItHoldsAndNotTheGain) {
  const Energy mean = energy(100, std::hypot(5.0, 1.0), 5, Grade::kMeasured, "rapl");
  EXPECT_NEAR(half(with_spread(mean, 12, 12)), 13, 1e-9);
  // Windows that are alike by chance are not known better than the instrument knows one of them.
  EXPECT_NEAR(half(with_spread(mean, 0, 0)), std::hypot(5.0, 1.0), 1e-9);
}

TEST(Energy, AllOfAFigureSurvivesItsJson) {
  uint64_t state = 7;
  const auto draw = [&] {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return static_cast<double>(state >> 20) / 1e9;
  };
  for (int trial = 0; trial < 300; ++trial) {
    Energy e;
    e.joules = draw(), e.low = e.joules - draw(), e.high = e.joules + draw();
    e.idle_known = trial % 2 == 0;
    if (e.idle_known) e.idle_joules = draw(), e.idle_half = draw();
    e.seconds = draw();
    e.grade = static_cast<Grade>(trial % 3);
    e.source = "file:/tmp/\"x\",W", e.scope = "package+dram";
    e.windows = 1 + trial;
    e.systematic = draw(), e.resolution = draw();
    if (trial % 5 == 0) e.invalid = "package-0 could not be read";
    const Energy back = energy_from_json(nlohmann::json::parse(energy_json(e).dump()));
    for (const auto member :
         {&Energy::joules, &Energy::low, &Energy::high, &Energy::idle_joules, &Energy::seconds,
          &Energy::systematic, &Energy::resolution, &Energy::idle_half}) {
      EXPECT_EQ(e.*member, back.*member);
    }
    EXPECT_EQ(e.idle_known, back.idle_known);
    EXPECT_EQ(e.grade, back.grade);
    EXPECT_EQ(e.source, back.source);
    EXPECT_EQ(e.scope, back.scope);
    EXPECT_EQ(e.windows, back.windows);
    EXPECT_EQ(e.invalid, back.invalid);
  }
}

TEST(Energy, ADamagedRecordIsRefused) {
  const nlohmann::json good = energy_json(energy(100, 5, 5, Grade::kMeasured, "rapl"));
  EXPECT_EQ(energy_from_json(good).joules, 100);
  for (const char* key : {"joules", "low", "high", "idle_joules", "seconds", "grade", "source", "scope",
                          "windows", "systematic", "resolution", "idle_half"}) {
    nlohmann::json bad = good;
    bad.erase(key);
    EXPECT_THROW(energy_from_json(bad), Error) << key;
    bad[key] = nlohmann::json::array({1});
    EXPECT_THROW(energy_from_json(bad), Error) << key;
  }
  nlohmann::json bad = good;
  bad["low"] = 101;
  EXPECT_THROW(energy_from_json(bad), Error);
  bad = good, bad["systematic"] = -1;
  EXPECT_THROW(energy_from_json(bad), Error);
  bad = good, bad["grade"] = "guessed";
  EXPECT_THROW(energy_from_json(bad), Error);
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

TEST(Meter, AContainerOfTwoProcessorsIsChargedTwoOfTheServersThreads) {
  auto machine = std::make_unique<SimulatedMachine>();
  SimulatedMachine* m = machine.get();
  std::string processors;
  for (int i = 0; i < 128; ++i)
    processors += fmt::format(
        "processor\t: {}\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\nmodel\t\t: 2\nmodel name\t: Test\n"
        "physical id\t: 0\nflags\t\t: fpu\n\n",
        i);
  m->put("/proc/cpuinfo", processors);
  m->put("/proc/self/cgroup", "0::/\n");
  m->put("/proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  m->put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  MeterOptions options;
  options.source = "model";
  MachineMeter meter(std::move(machine), options, false);
  EXPECT_EQ(meter.sources().threads, 2);
  const auto begin = meter.begin();
  m->sleep(10);
  const Energy asleep = meter.end_foreign(begin, 0.0);
  EXPECT_NEAR(asleep.joules, 2 * 10 * meter.sources().profile->idle_watts_per_thread.value,
              1e-3 * asleep.joules);
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
