// What goes wrong with meters, said in one line and never silently dropped, zero or negative.
#include <gtest/gtest.h>
#include <wattle/error.h>

#include <cmath>
#include <fstream>

#include "meter/carbon.h"
#include "meter/command.h"
#include "meter/machine_meter.h"
#include "simulated_machine.h"

namespace wattle {
namespace {

/// A meter over one powercap package whose counter the test sets.
struct OneCounter {
  std::unique_ptr<SimulatedMachine> owned = std::make_unique<SimulatedMachine>();
  SimulatedMachine* machine = owned.get();
  double microjoules = 1e6;
  double watts = 50;
  std::string override;
  std::unique_ptr<MachineMeter> meter;

  OneCounter() {
    machine->put("/sys/class/powercap/intel-rapl:0/name", "package-0");
    machine->put("/sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850");
    machine->files["/sys/class/powercap/intel-rapl:0/energy_uj"] = [this] {
      return override.empty()
                 ? fmt::format("{:.0f}",
                               std::fmod(microjoules + 1e6 * watts * (machine->time - 100), 262143328851.0))
                 : override;
    };
    meter = std::make_unique<MachineMeter>(std::move(owned), MeterOptions{}, false);
  }
  void run(double seconds) {
    const double until = machine->time + seconds;
    while (machine->time < until) machine->sleep(0.1), meter->poll();
  }
};

TEST(Faults, ACounterThatGoesBackwardsInvalidatesItsWindowAndNoOther) {
  OneCounter one;
  const auto before = one.meter->begin();
  one.run(2);
  EXPECT_EQ(one.meter->end(before, nullptr).invalid, "");
  const auto across = one.meter->begin();
  one.run(1);
  one.microjoules -= 30e6;
  one.run(1);
  const Energy bad = one.meter->end(across, nullptr);
  EXPECT_NE(bad.invalid.find("backwards"), std::string::npos);
  EXPECT_GT(bad.joules, 0);
  const auto after = one.meter->begin();
  one.run(2);
  const Energy good = one.meter->end(after, nullptr);
  EXPECT_EQ(good.invalid, "");
  EXPECT_NEAR(good.joules, 100, 3);
}

TEST(Faults, ACounterThatStandsStillIsSaid) {
  OneCounter one;
  one.run(1);
  one.override = "123456789";
  one.run(0.5);
  const auto begin = one.meter->begin();
  one.run(3);
  EXPECT_NE(one.meter->end(begin, nullptr).invalid.find("stood still"), std::string::npos);
}

TEST(Faults, NonsenseInPlaceOfANumberIsAGap) {
  OneCounter one;
  const auto begin = one.meter->begin();
  one.run(1);
  one.override = "<html>";
  one.run(0.3);
  one.override.clear();
  one.run(1);
  EXPECT_NE(one.meter->end(begin, nullptr).invalid.find("could not be read"), std::string::npos);
}

TEST(Faults, TwoWrapsBetweenReadingsCannotBeTold) {
  OneCounter one;
  const auto begin = one.meter->begin();
  one.run(1);
  one.machine->sleep(600);  // 262 kJ wrap once in 262 s at most
  one.run(1);
  EXPECT_NE(one.meter->end(begin, nullptr).invalid.find("wrapped twice"), std::string::npos);
}

TEST(Faults, WrapsAreCorrected) {
  OneCounter one;
  one.microjoules = 262143328851.0 - 60e6 - 1e6 * one.watts * (one.machine->time - 100);
  one.run(0.5);
  const auto begin = one.meter->begin();
  one.run(3);
  const Energy energy = one.meter->end(begin, nullptr);
  EXPECT_EQ(energy.invalid, "");
  EXPECT_NEAR(energy.joules, 150, 6);
}

TEST(Windows, NestedAndOverlappingOnesAddUp) {
  OneCounter one;
  one.run(1);
  const auto whole = one.meter->begin();
  one.run(2);
  const auto second = one.meter->begin();
  one.run(3);
  const double inner = one.meter->end(second, nullptr).joules;
  const double outer = one.meter->end(whole, nullptr).joules;
  EXPECT_NEAR(outer - inner, 100, 4);
}

TEST(Windows, IdleIsMeasuredAndTakenFromLaterWindows) {
  OneCounter one;
  one.watts = 20;
  const Energy idle = one.meter->measure_idle(2);
  EXPECT_NEAR(idle.joules / idle.seconds, 20, 1);
  const auto begin = one.meter->begin();
  one.run(5);
  const Energy energy = one.meter->end(begin, nullptr);
  EXPECT_TRUE(energy.idle_known);
  EXPECT_NEAR(energy.idle_joules, 100, 5);
}

TEST(Windows, ShortOnesAreRepeatedUntilAStepIsUnderOnePercent) {
  OneCounter one;
  one.run(1);
  EXPECT_EQ(one.meter->repetitions(100), 1);
  const int repetitions = one.meter->repetitions(0.001);
  EXPECT_GE(repetitions * 0.001, 0.1 * 0.999);
}

TEST(Windows, APollThatAlwaysShowsSomethingNewTellsNoRefresh) {
  // The counter is new every 0.1 ms; ten polls a second must not be taken for its refresh.
  OneCounter one;
  one.run(10);
  EXPECT_LT(one.meter->sources().recorders[0]->refresh_seconds(0), 0.01);
  EXPECT_EQ(one.meter->repetitions(0.5), 1);
}

/// A power source that is new every second: a ramp of `ripple` watts around 60 W.
struct SlowPower {
  std::unique_ptr<SimulatedMachine> owned = std::make_unique<SimulatedMachine>();
  SimulatedMachine* machine = owned.get();
  double level = 60, ripple;
  int reads = 0;
  std::unique_ptr<MachineMeter> meter;

  SlowPower(const std::string& source, double ripple_watts) : ripple(ripple_watts) {
    machine->files["/power"] = [this] {
      ++reads;
      const double second = std::floor(machine->time - 0.37);
      return fmt::format("{:.4f} W", level + ripple * std::fmod(second * 0.618, 1));
    };
    MeterOptions options;
    options.source = source;
    meter = std::make_unique<MachineMeter>(std::move(owned), options, false);
    run(20);
  }
  void run(double seconds) {
    const double until = machine->time + seconds;
    while (machine->time < until) {
      machine->sleep(std::min(meter->seconds_to_next_poll(), until - machine->time));
      meter->poll();
    }
  }
  CommandRun window(double seconds) {
    const auto begin = meter->begin();
    run(seconds);
    CommandRun made;
    made.energy = meter->end_foreign(begin, 0, Settle::kLoadEnded);
    return made;
  }
};

TEST(Windows, RepetitionsEndWhereTheEdgesLeaveUnderOnePercentOpen) {
  // 4 s are 4 steps of the meter; a whole step would be under 1 % after 25 times.
  for (const char* source : {"file:/power,W,average", "file:/power"}) {
    SlowPower steady(source, 0.01);
    EXPECT_NEAR(steady.meter->repetitions(4), 25, 1);
    EXPECT_EQ(repetitions_after(*steady.meter, steady.window(4)), 1) << source;
    SlowPower uneven(source, 5);
    const CommandRun run = uneven.window(4);
    const double open = run.energy.resolution / run.energy.joules;
    // Means keep the energy of what happens between the readings; momentary readings do not.
    const bool means = std::string(source).ends_with("average");
    EXPECT_EQ(open < 0.01, means) << open;
    if (means) continue;
    const int needed = repetitions_after(*uneven.meter, run);
    EXPECT_EQ(needed, std::min<int>(static_cast<int>(std::ceil(100 * open)), uneven.meter->repetitions(4)));
    EXPECT_LT(needed, 25);
    EXPECT_EQ(repetitions_after(*uneven.meter, uneven.window(21)), 1) << "20 steps are enough";
  }
}

TEST(Windows, AWindowWithoutJoulesIsRepeatedAsOftenAsAStepAsks) {
  SlowPower one("file:/power", 1);
  CommandRun run = one.window(4);
  run.energy.joules = 0;
  EXPECT_EQ(repetitions_after(*one.meter, run), one.meter->repetitions(run.energy.seconds));
}

TEST(OwnCost, SlowPowerSourcesAreReadAroundTheMomentsAtWhichTheyAreRenewed) {
  SlowPower one("file:/power", 5);
  const int before = one.reads;
  one.run(100);
  EXPECT_LT(one.reads - before, 16 * 100);
  // And yet no reading is dated worse than by reading it 50 times a second.
  double worst = 0, last_time = 0, last_watts = 0;
  one.meter->set_listener([&](const Source&, double time, const std::vector<Reading>& readings) {
    if (last_time > 0 && readings[0].watts != last_watts) worst = std::max(worst, time - last_time);
    last_time = time, last_watts = readings[0].watts;
  });
  one.run(100);
  EXPECT_LE(worst, 0.0211);
}

TEST(OwnCost, ASourceThatChangesItsPhaseIsFoundAgain) {
  SlowPower one("file:/power", 5);
  double shift = 0;
  one.machine->files["/power"] = [&] {
    return fmt::format("{:.4f} W", 60 + std::fmod(std::floor(one.machine->time - 0.37 - shift) * 0.618, 1));
  };
  one.run(10);
  shift = 0.43;
  one.run(14);  // until the refresh is learnt from what came after it
  double worst = 0, last_time = 0, last_watts = 0;
  one.meter->set_listener([&](const Source&, double time, const std::vector<Reading>& readings) {
    if (last_time > 0 && readings[0].watts != last_watts) worst = std::max(worst, time - last_time);
    last_time = time, last_watts = readings[0].watts;
  });
  one.run(50);
  EXPECT_LE(worst, 0.0211);
}

TEST(ExternalSources, AnswersWithoutNumberOrUnitAreRefused) {
  MeterOptions options;
  options.source = "exec:echo hello";
  EXPECT_THROW(MachineMeter(open_machine("/"), options, false), Error);
  options.source = "exec:echo 12 parsec";
  EXPECT_THROW(MachineMeter(open_machine("/"), options, false), Error);
  options.source = "exec:exit 3";
  EXPECT_THROW(MachineMeter(open_machine("/"), options, false), Error);
  options.source = "nosuch";
  EXPECT_THROW(MachineMeter(open_machine("/"), options, false), Error);
  options.source = "exec:echo 12 W";
  EXPECT_EQ(MachineMeter(open_machine("/"), options, false).grade(), Grade::kMeasured);
}

TEST(Carbon, FactorsAreStatedAndNeverGuessed) {
  EXPECT_EQ(carbon_zone("FRA").name, "France");
  EXPECT_EQ(carbon_zone("aws:us-east-1").zone, "aws:us-east-1");
  EXPECT_THROW(carbon_zone("atlantis"), Error);
  EXPECT_TRUE(older_than_24_months(2023, 2026, 1));
  EXPECT_FALSE(older_than_24_months(2024, 2026, 6));
  EXPECT_TRUE(older_than_24_months(0, 2026, 1));
  Footprint footprint;
  footprint.zone = CarbonRow{"X", "X", 2025, 500, "", ""};
  footprint.pue = 1.5;
  footprint.wue = 2;
  footprint.price = 0.3;
  const Consequences result = consequences(footprint, 3.6e6, 10, 0);
  EXPECT_DOUBLE_EQ(result.kwh, 1.5);
  EXPECT_DOUBLE_EQ(*result.grams_co2e, 750);
  EXPECT_DOUBLE_EQ(*result.litres, 2);
  EXPECT_DOUBLE_EQ(*result.money, 0.45);
  EXPECT_FALSE(consequences({}, 1, 1, 0).grams_co2e.has_value());
}

TEST(Carbon, HourlyProfilesNeedAllHours) {
  const std::string path = testing::TempDir() + "hourly.csv";
  {
    std::ofstream file(path);
    file << "time,g\n";
    for (int hour = 0; hour < 24; ++hour)
      file << "2025-01-01 " << (hour < 10 ? "0" : "") << hour << ":00," << 100 + hour << "\n";
  }
  EXPECT_DOUBLE_EQ(read_hourly_profile(path).by_hour[17], 117);
  std::ofstream(path) << "hour,g\n5,nonsense\n";
  EXPECT_THROW(read_hourly_profile(path), Error);
  std::ofstream(path) << "hour,g\n5,100\n";
  EXPECT_THROW(read_hourly_profile(path), Error);
}

}  // namespace
}  // namespace wattle
