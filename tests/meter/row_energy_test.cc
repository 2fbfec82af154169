// A window's joules over rows and phases: exact sums, and phases by the counter where they are long enough.
#include <gtest/gtest.h>

#include "meter/machine_meter.h"
#include "meter/row_energy.h"
#include "simulated_machine.h"

namespace wattle {
namespace {

/// A machine with one exact meter, a counter or a power reading, whose power steps between the phases.
struct SteppedMachine {
  std::unique_ptr<SimulatedMachine> owned = std::make_unique<SimulatedMachine>();
  SimulatedMachine* machine = owned.get();
  TruePower truth;
  std::unique_ptr<MachineMeter> meter;

  explicit SteppedMachine(bool counter) {
    machine->put("/proc/cpuinfo", "processor\t: 0\n\nprocessor\t: 1\n");
    truth.step(0, 40);
    Instrument instrument;
    instrument.refresh = 0.01;
    if (counter) {
      machine->files["/meter"] = [this, instrument] {
        return fmt::format("{} uJ", instrument.counts(truth, machine->time));
      };
    } else {
      machine->files["/meter"] = [this, instrument] {
        return fmt::format("{:.3f} W", instrument.watts(truth, machine->time, false));
      };
    }
    MeterOptions options;
    options.source = "file:/meter";
    meter = std::make_unique<MachineMeter>(std::move(owned), options, false);
    run(1);
  }
  void run(double seconds) {
    const double until = machine->time + seconds;
    while (machine->time < until) machine->sleep(std::min(0.05, until - machine->time)), meter->poll();
  }
  /// A stretch that draws `watts` for `seconds` from now on.
  Stretch stretch(Phase phase, double watts, double seconds, double busy) {
    truth.step(machine->time, watts);
    const Stretch made{phase, machine->time, seconds, busy, {}};
    run(seconds);
    return made;
  }
};

/// Rows whose seconds in every phase are uneven parts of the batch's.
std::vector<Phases> uneven_rows(const std::vector<Stretch>& stretches, size_t n) {
  std::array<double, kPhases.size()> seconds{};
  for (const Stretch& stretch : stretches) seconds[static_cast<size_t>(stretch.phase)] += stretch.seconds;
  std::vector<Phases> rows;
  for (size_t i = 0; i < n; ++i) {
    const double share = static_cast<double>(i + 1) / static_cast<double>(n * (n + 1) / 2);
    rows.push_back({seconds[0] * share, seconds[1] * share, seconds[2] * share, seconds[3] * share});
  }
  return rows;
}

void expect_exact(const std::vector<RowEnergy>& rows, const Energy& window) {
  double sum = 0;
  for (const RowEnergy& row : rows) {
    sum += row.energy.joules;
    double phases = 0;
    for (const double joules : row.phase_joules) {
      EXPECT_GE(joules, 0);
      phases += joules;
    }
    ASSERT_EQ(phases, row.energy.joules);
  }
  ASSERT_EQ(sum, window.joules);
}

TEST(RowEnergy, RowsAndPhasesAddUpToTheWindowToTheLastBit) {
  for (const size_t n : {size_t{1}, size_t{7}}) {
    for (const bool counter : {true, false}) {
      for (int seed = 0; seed < 50; ++seed) {
        SteppedMachine machine(counter);
        std::mt19937_64 random(static_cast<uint64_t>(seed));
        const auto uniform = [&](double low, double high) {
          return std::uniform_real_distribution<double>(low, high)(random);
        };
        const auto begin = machine.meter->begin();
        std::vector<BatchRecord> batches;
        for (int b = 0; b < 3; ++b) {
          BatchRecord& batch = batches.emplace_back();
          for (const Phase phase : kPhases) {
            const double seconds = uniform(0, 0.5);
            batch.stretches.push_back(
                machine.stretch(phase, uniform(20, 100), seconds, uniform(0, 2 * seconds)));
          }
          batch.rows = uneven_rows(batch.stretches, n);
        }
        const Energy window = machine.meter->end(begin, nullptr);
        const std::vector<RowEnergy> rows = divide_window(*machine.meter, window, batches);
        ASSERT_EQ(rows.size(), 3 * n);
        expect_exact(rows, window);
        EXPECT_EQ(rows.front().energy.grade, Grade::kAttributed);
      }
    }
  }
}

TEST(RowEnergy, LongPhasesAreWhatTheCounterShows) {
  for (const bool counter : {true, false}) {
    SteppedMachine machine(counter);
    const auto begin = machine.meter->begin();
    BatchRecord batch;
    // A steady power does not tell its refresh, which is taken to be a second: 20 of them are long.
    const double times = counter ? 1 : 8;
    // The processor time says nothing of the difference between these two.
    batch.stretches.push_back(machine.stretch(Phase::kPrefill, 100, 3 * times, 6 * times));
    batch.stretches.push_back(machine.stretch(Phase::kDecode, 40, 9 * times, 18 * times));
    batch.rows = uneven_rows(batch.stretches, 2);
    const Energy window = machine.meter->end(begin, nullptr);
    const std::vector<RowEnergy> rows = divide_window(*machine.meter, window, {&batch, 1});
    expect_exact(rows, window);
    EXPECT_NEAR(rows[0].phase_joules[1] + rows[1].phase_joules[1], 300 * times, 6 * times);
    EXPECT_NEAR(rows[0].phase_joules[2] + rows[1].phase_joules[2], 360 * times, 6 * times);
    EXPECT_NEAR(rows[1].energy.joules / rows[0].energy.joules, 2, 1e-9);
  }
}

TEST(RowEnergy, ShortPhasesAreToldApartByWindowsOfOtherProportions) {
  SteppedMachine machine(true);
  std::mt19937_64 random(7);
  // Both keep two threads busy; that one draws 100 W and the other 40 W shows in no single window.
  double prefill_error = 0, decode_error = 0;
  for (int n = 0; n < 40; ++n) {
    const double prefill = std::uniform_real_distribution<double>(0.1, 1)(random), decode = 1.1 - prefill;
    const auto begin = machine.meter->begin();
    BatchRecord batch;
    batch.stretches.push_back(machine.stretch(Phase::kPrefill, 100, prefill, 2 * prefill));
    batch.stretches.push_back(machine.stretch(Phase::kDecode, 40, decode, 2 * decode));
    batch.rows = uneven_rows(batch.stretches, 3);
    const Energy window = machine.meter->end(begin, nullptr);
    const std::vector<RowEnergy> rows = divide_window(*machine.meter, window, {&batch, 1});
    expect_exact(rows, window);
    double phases[2] = {0, 0};
    for (const RowEnergy& row : rows) phases[0] += row.phase_joules[1], phases[1] += row.phase_joules[2];
    prefill_error = std::abs(phases[0] / (100 * prefill) - 1);
    decode_error = std::abs(phases[1] / (40 * decode) - 1);
  }
  EXPECT_LT(prefill_error, 0.05);
  EXPECT_LT(decode_error, 0.10);
}

TEST(PhaseRegression, WindowsThatAreAlikeLeaveTheModelsProportions) {
  PhaseRegression regression;
  EXPECT_EQ(regression.factors()[0], 1);
  for (int n = 0; n < 100; ++n) regression.add({0, 3, 1, 0, 0}, 8, 0.1);
  const auto factors = regression.factors();
  EXPECT_NEAR(factors[1], 2, 0.02);
  EXPECT_NEAR(factors[2], 2, 0.02);
}

TEST(PhaseRegression, WindowsThatDifferTellTheFactorsAndNoneIsNegative) {
  PhaseRegression regression;
  for (int n = 0; n < 50; ++n) {
    const double a = 1 + n % 7, b = 1 + n % 5;
    regression.add({0, a, b, 0, 0}, 3 * a + 0.5 * b, 0.05);
  }
  EXPECT_NEAR(regression.factors()[1], 3, 0.05);
  EXPECT_NEAR(regression.factors()[2], 0.5, 0.05);
  // Nothing is learnt from windows without joules, expectation or error.
  const auto before = regression.factors();
  regression.add({0, 0, 0, 0, 0}, 5, 1);
  regression.add({1, 1, 1, 1, 1}, 0, 1);
  regression.add({1, 1, 1, 1, 1}, 5, 0);
  EXPECT_EQ(regression.factors(), before);
  PhaseRegression contrary;
  for (int n = 0; n < 50; ++n) contrary.add({1.0 + n % 3, 2.0 * (n % 2), 0, 0, 0}, 10.0 - 4 * (n % 2), 0.01);
  for (const double factor : contrary.factors()) EXPECT_GT(factor, 0);
}

TEST(RowEnergy, ShortPhasesShareByTheirWorkAndProcessorTime) {
  SteppedMachine machine(true);
  const auto begin = machine.meter->begin();
  BatchRecord batch;
  batch.stretches.push_back(machine.stretch(Phase::kTokenize, 60, 0.02, 0.02));  // one thread of two
  batch.stretches.push_back(machine.stretch(Phase::kPrefill, 60, 0.02, 0.04));
  batch.stretches.push_back(machine.stretch(Phase::kDecode, 60, 0.02, 0.04));
  batch.stretches.back().work.macs_fp32 = 1e11;
  batch.rows = uneven_rows(batch.stretches, 1);
  const Energy window = machine.meter->end(begin, nullptr);
  const RowEnergy row = divide_window(*machine.meter, window, {&batch, 1}).front();
  expect_exact({row}, window);
  EXPECT_LT(row.phase_joules[0], 0.95 * row.phase_joules[1]);
  EXPECT_LT(row.phase_joules[1], 0.5 * row.phase_joules[2]);
  EXPECT_EQ(row.phase_joules[3], 0);
}

TEST(RowEnergy, AWindowWithoutJoulesHasPartsWithoutJoules) {
  SteppedMachine machine(true);
  Energy window;
  window.source = "file:/meter";
  const BatchRecord batch{{}, {Phases{}, Phases{}}};
  const std::vector<RowEnergy> rows = divide_window(*machine.meter, window, {&batch, 1});
  ASSERT_EQ(rows.size(), 2u);
  expect_exact(rows, window);
}

TEST(RowEnergy, TheModelDividesItsOwnWindows) {
  auto owned = std::make_unique<SimulatedMachine>();
  SimulatedMachine* machine = owned.get();
  machine->put("/proc/cpuinfo", "processor\t: 0\n\nprocessor\t: 1\n");
  MeterOptions options;
  options.source = "model";
  MachineMeter meter(std::move(owned), options, false);
  const auto begin = meter.begin();
  BatchRecord batch;
  batch.stretches.push_back({Phase::kPrefill, machine->time, 3, 6, {}});
  batch.stretches.push_back({Phase::kPost, machine->time + 3, 3, 3, {}});
  machine->sleep(6);
  batch.rows = uneven_rows(batch.stretches, 7);
  const Energy window = meter.end(begin, nullptr);
  const std::vector<RowEnergy> rows = divide_window(meter, window, {&batch, 1});
  expect_exact(rows, window);
  EXPECT_EQ(rows.front().energy.grade, Grade::kModelled);
  EXPECT_GT(rows.front().phase_joules[1], rows.front().phase_joules[3]);
}

}  // namespace
}  // namespace wattle
