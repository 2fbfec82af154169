// Simulated machines with a known truth, 1,000 seeds of each kind: the 95 % interval holds it in 93.5 to 98 %
// of them, and is on average at most 1.5 times as wide as the narrowest scaling that would hold it in 95 %.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>

#include "meter/machine_meter.h"
#include "simulated_machine.h"
#include "zoo_machines.h"
#include "zoo_scene.h"
#include "zoo_sensors.h"

namespace wattle {
namespace {

constexpr int kSeeds = 1000;
constexpr double kFewestHits = 0.935, kMostHits = 0.98, kWidest = 1.5;

/// Studies simulate three times the time of a window: so many of a kind are enough to see a rule that is
/// wrong, and WATTLE_ZOO_SEEDS=1000 holds them to what single windows are held to.
int seeds_of_studies() {
  const char* asked = std::getenv("WATTLE_ZOO_SEEDS");
  return asked != nullptr ? std::atoi(asked) : 100;
}

class Zoo : public testing::TestWithParam<Kind> {};

/// How intervals fare against the truth over the seeds of a kind.
class Score {
 public:
  void add(const Energy& energy, double truth) {
    const double error = energy.joules - truth;
    const double half = error > 0 ? energy.joules - energy.low : energy.high - energy.joules;
    scales_.push_back(std::abs(error) / std::max(half, 1e-12));
    hits_ += energy.low <= truth && truth <= energy.high;
    width_ += (energy.high - energy.low) / 2 / truth;
  }
  void count_invalid() { ++invalid_; }
  int judged() const { return static_cast<int>(scales_.size()); }
  double hits() const { return static_cast<double>(hits_) / judged(); }
  /// The width over that of the narrowest scaling of these intervals that holds the truth in 95 %.
  double width_over_narrowest() const {
    std::vector<double> sorted = scales_;
    std::sort(sorted.begin(), sorted.end());
    return 1 / std::max(sorted[static_cast<size_t>(0.95 * static_cast<double>(sorted.size()))], 1e-9);
  }
  void check(const std::string& kind) const {
    printf("%-44s %5.1f %% hold the truth; half-width %.1f %%, %.2f of the narrowest; %d windows invalid\n",
           kind.c_str(), 100 * hits(), 100 * width_ / judged(), width_over_narrowest(), invalid_);
    // Of few seeds chance alone moves the share.
    const double chance = judged() < 500 ? 2.6 * std::sqrt(0.05 * 0.95 / judged()) : 0;
    EXPECT_GE(hits(), kFewestHits - chance) << kind;
    EXPECT_LE(hits(), kMostHits + chance) << kind;
    EXPECT_LE(width_over_narrowest(), kWidest + 5 * chance) << kind;
  }

 private:
  std::vector<double> scales_;
  int hits_ = 0, invalid_ = 0;
  double width_ = 0;
};

TEST_P(Zoo, IntervalHoldsTheTruth) {
  Score score;
  for (int seed = 0; seed < kSeeds; ++seed) {
    Scene scene;
    scene.random.seed(static_cast<uint64_t>(seed) * 7919 + 17);
    GetParam().build(scene);
    SimulatedMachine& machine = *scene.machine;
    MachineMeter meter(std::move(scene.machine), scene.options, false);
    ASSERT_EQ(meter.grade(), Grade::kMeasured);
    run_until(meter, scene, machine, kStart + kLeadIn);
    const double from = machine.time;
    const auto begin = meter.begin();
    run_until(meter, scene, machine, from + scene.seconds + scene.uniform(-1, 1));
    const double to = machine.time;
    const Energy energy = meter.end_foreign(begin, 0, Settle::kYes);
    const bool lost = scene.unplugged_at > 0 && scene.unplugged_at < to;
    ASSERT_EQ(energy.invalid.empty(), !lost) << energy.invalid;
    if (lost) {
      score.count_invalid();
      continue;
    }
    double truth = 0;
    for (const TruePower& power : scene.counted) truth += power.energy(to) - power.energy(from);
    score.add(energy, truth);
    EXPECT_NEAR(energy.joules / truth, 1, 0.35) << "seed " << seed;
  }
  score.check(GetParam().name);
}

/// As the windows of a cell of a study lie: others' windows are between them. What repeats in them stays,
/// what is independent shrinks, and the mean must still hold the truth as often as it says.
TEST_P(Zoo, IntervalOfAStudysMeanHoldsTheTruth) {
  constexpr int kWindows = 5;
  Score score;
  for (int seed = 0; seed < seeds_of_studies(); ++seed) {
    Scene scene;
    scene.random.seed(static_cast<uint64_t>(seed) * 6007 + 11);
    GetParam().build(scene);
    SimulatedMachine& machine = *scene.machine;
    MachineMeter meter(std::move(scene.machine), scene.options, false);
    run_until(meter, scene, machine, kStart + kLeadIn);
    std::vector<Energy> windows;
    double truth = 0;
    bool lost = false;
    for (int i = 0; i < kWindows; ++i) {
      const double from = machine.time;
      const auto begin = meter.begin();
      run_until(meter, scene, machine, from + scene.uniform(3.5, 6));
      const double to = machine.time;
      windows.push_back(meter.end_foreign(begin, 0, Settle::kYes));
      lost |= !windows.back().invalid.empty();
      for (const TruePower& power : scene.counted) truth += power.energy(to) - power.energy(from);
      run_until(meter, scene, machine, machine.time + scene.uniform(2, 4));
    }
    if (lost)
      score.count_invalid();
    else
      score.add(mean_energy(windows), truth / kWindows);
  }
  if (score.judged() > 0) score.check(fmt::format("{}, {} windows", GetParam().name, kWindows));
}

std::string name_of(const testing::TestParamInfo<Kind>& info) {
  return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(Machines, Zoo, testing::ValuesIn(kKinds), name_of);
INSTANTIATE_TEST_SUITE_P(Sensors, Zoo, testing::ValuesIn(kSensorKinds), name_of);

/// A machine at rest, whose load begins and ends with the command: nothing tells the refresh before it.
struct Rest {
  const char* name;
  double accuracy, refresh, unit;
  bool averaged;
  enum class Door { kAcpi, kPlug, kBattery } door;
};
const Rest kRests[] = {{"acpi_means_of_1_s", 0.05, 1, 0.1, true, Rest::Door::kAcpi},
                       {"acpi_means_of_5_s", 0.05, 5, 0.1, true, Rest::Door::kAcpi},
                       {"acpi_means_of_30_s", 0.05, 30, 0.1, true, Rest::Door::kAcpi},
                       {"momentary_each_1_s", 0.02, 1, 0.1, false, Rest::Door::kPlug},
                       {"momentary_each_3_s", 0.02, 3, 0.1, false, Rest::Door::kPlug},
                       {"plug_means_of_1_s", 0.02, 1, 0.1, true, Rest::Door::kPlug},
                       {"battery_each_1_s", 0.05, 1, 1e-3, false, Rest::Door::kBattery}};
struct RestCase {
  Rest rest;
  double seconds;
  bool noisy;
};

/// Power that is constant, or that wavers every 50 ms by a few percent.
void put_power(Scene& s, TruePower& truth, double from, double to, double watts, bool noisy) {
  if (!noisy) return truth.step(from, watts);
  std::normal_distribution<double> normal;
  for (double time = from; time < to; time += 0.05) truth.step(time, watts * (1 + 0.05 * normal(s.random)));
}

void open_door(Scene& s, const Rest& rest, const std::shared_ptr<TruePower>& truth) {
  Instrument instrument = s.counter(rest.accuracy, rest.refresh, rest.unit);
  SimulatedMachine* m = s.machine.get();
  const std::string acpi = "/sys/class/hwmon/hwmon0", battery = "/sys/class/power_supply/BAT0";
  switch (rest.door) {
    case Rest::Door::kAcpi:
      m->put(acpi + "/name", "power_meter");
      m->put(acpi + "/power1_average_interval", fmt::format("{:.0f}", 1000 * rest.refresh));
      return s.power_file(acpi + "/power1_average", truth, instrument, true, 1e6);
    case Rest::Door::kPlug:
      m->files["/power"] = [=] {
        return fmt::format("{:.3f}", instrument.watts(*truth, m->time, rest.averaged));
      };
      s.options.source = rest.averaged ? "file:/power,W,average" : "file:/power,W";
      return;
    case Rest::Door::kBattery:
      m->put(battery + "/type", "Battery");
      m->put(battery + "/status", "Discharging");
      return s.power_file(battery + "/power_now", truth, instrument, false, 1e6);
  }
}

class AtRest : public testing::TestWithParam<RestCase> {};

TEST_P(AtRest, IntervalHoldsALoadThatBeginsAndEndsWithTheCommand) {
  const auto& [rest, seconds, noisy] = GetParam();
  Score score;
  for (int seed = 0; seed < kSeeds; ++seed) {
    Scene scene;
    scene.random.seed(static_cast<uint64_t>(seed) * 6151 + 29);
    auto truth = std::make_shared<TruePower>();
    const double idle = scene.uniform(20, 60), full = idle * scene.uniform(1.3, 3);
    put_power(scene, *truth, 0, 0.01, idle, false);
    if (noisy) put_power(scene, *truth, kStart - 40, kStart + 120, idle, true);
    open_door(scene, rest, truth);
    SimulatedMachine& machine = *scene.machine;
    MachineMeter meter(std::move(scene.machine), scene.options, false);
    meter.measure_idle(1 + scene.uniform(0, 1));
    const auto begin = meter.begin();
    const double from = machine.time;
    truth->forget_after(from);
    put_power(scene, *truth, from, from + seconds, full, noisy);
    put_power(scene, *truth, from + seconds, from + seconds + 200, idle, noisy);
    run_until(meter, scene, machine, from + seconds);
    const Energy energy = meter.end_foreign(begin, 0, Settle::kLoadEnded);
    if (!energy.invalid.empty()) {
      EXPECT_NE(energy.invalid.find("measure for "), std::string::npos) << energy.invalid;
      score.count_invalid();
      continue;
    }
    score.add(energy, truth->energy(from + seconds) - truth->energy(from));
  }
  const std::string name = fmt::format("{}, {} s, {}", rest.name, seconds, noisy ? "noisy" : "steady");
  if (rest.door == Rest::Door::kAcpi && rest.refresh > seconds) {
    EXPECT_EQ(score.judged(), 0) << name;  // every run is shorter than a refresh, and says so
  } else if (score.judged() > 0) {
    score.check(name);
  }
}

std::vector<RestCase> rest_cases() {
  std::vector<RestCase> cases;
  for (const Rest& rest : kRests) {
    for (const double seconds : {2.5, 6.0}) {
      for (const bool noisy : {false, true}) cases.push_back({rest, seconds, noisy});
    }
  }
  return cases;
}
INSTANTIATE_TEST_SUITE_P(Machines, AtRest, testing::ValuesIn(rest_cases()), [](const auto& info) {
  return fmt::format("{}_{}_{}", info.param.rest.name, info.param.seconds < 3 ? "short" : "long",
                     info.param.noisy ? "noisy" : "steady");
});

/// 100 W for nine seconds, then 200 W for one, then `after`: joules by a power source with such a refresh, at
/// a phase of it from 0 to 1.
Energy nine_and_one(double refresh, double phase, bool averaged, double after) {
  auto machine = std::make_unique<SimulatedMachine>();
  SimulatedMachine* m = machine.get();
  TruePower truth;
  truth.step(0, 100);
  // The refresh is learnt from a load that moves, as any real one does.
  const double begin_at = kStart + kLeadIn + 14;
  for (double time = kStart - 2; time < begin_at - 4; time += 0.013)
    truth.step(time, 95 + std::fmod(time * 7, 10));
  truth.step(begin_at - 4, 100);
  truth.step(begin_at + 9, 200);
  truth.step(begin_at + 10, after);
  Instrument instrument;
  instrument.refresh = refresh, instrument.phase = refresh * phase, instrument.unit = 1e-3;
  m->files["/power"] = [=] { return fmt::format("{:.3f}", instrument.watts(truth, m->time, averaged)); };
  MeterOptions options;
  options.source = averaged ? "file:/power,W,average" : "file:/power,W";
  MachineMeter meter(std::move(machine), options, false);
  const auto run = [&](double until) {
    while (m->time < until) {
      m->sleep(std::min(meter.seconds_to_next_poll(), until - m->time));
      meter.poll();
    }
  };
  run(begin_at);
  const auto begin = meter.begin();
  run(begin_at + 10);
  return meter.end_foreign(begin, 0, Settle::kLoadEnded);
}

TEST(PowerOnly, NineSecondsAt100AndOneAt200WattsAre1100JoulesAtAnyPhase) {
  printf("refresh   worst error of 50 phases: means   momentary readings\n");
  for (const double refresh : {0.02, 0.05, 0.1, 0.25, 1.0}) {
    double worst[2] = {0, 0};
    for (const bool averaged : {true, false}) {
      for (const double after : {100.0, 200.0}) {
        for (int phase = 0; phase < 50; ++phase) {
          const Energy energy = nine_and_one(refresh, phase / 50.0, averaged, after);
          const std::string where = fmt::format("refresh {}, phase {} of 50, {}, {} W after", refresh, phase,
                                                averaged ? "means" : "momentary", after);
          EXPECT_LE(energy.low, 1100) << where;
          EXPECT_GE(energy.high, 1100) << where;
          EXPECT_EQ(energy.invalid, "");
          worst[averaged] = std::max(worst[averaged], std::abs(energy.joules - 1100) / 1100);
        }
      }
    }
    printf("%5.0f ms  %.2f %%  %.2f %%\n", 1000 * refresh, 100 * worst[1], 100 * worst[0]);
    EXPECT_LE(worst[1], 0.01) << refresh;
    // The step of momentary readings is dated to half a refresh, by whatever method: 100 W x refresh / 2.
    EXPECT_LE(worst[0], std::max(0.01, 1.2 * 50 * refresh / 1100)) << refresh;
  }
}

}  // namespace
}  // namespace wattle
