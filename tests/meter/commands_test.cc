// Commands: real processes that leave children, read input and are sent signals; and comparisons in virtual
// time.
#include "meter/command.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <wattle/error.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <thread>

#include "meter/helper_process.h"
#include "simulated_machine.h"
#include "statistics/random.h"

namespace wattle {
namespace {

MeterOptions modelled() {
  MeterOptions options;
  options.source = "model";
  return options;
}

const Streams kQuiet{.quiet = true};
const char* const kWork = "i=0; while [ $i -lt 150000 ]; do i=$((i+1)); done";

void wait_for_children() {
  double seconds = 0;
  while (reap_other_child(seconds) != Reaped::kNone)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

TEST(Commands, AChildThatOutlivesItsCommandIsCountedUntilTheEndOfTheWindowAndSaid) {
  MachineMeter meter(open_machine("/"), modelled(), false);
  // The child works beside its command and goes on after it; it has left the session.
  const std::string child = fmt::format("(setsid sh -c '{}; sleep 1.5' &) ; sleep 1.2", kWork);
  const CommandRun run = run_command(meter, {{child}, true}, kQuiet, 1);
  EXPECT_NE(run.problem.find("in the background"), std::string::npos) << run.problem;
  EXPECT_EQ(run.status, 0);
  const double alone = run_command(meter, {{kWork}, true}, kQuiet, 1).busy_seconds;
  EXPECT_GT(alone, 0.02);
  EXPECT_GT(run.busy_seconds, alone / 3);  // in steps of 10 ms, as /proc tells
  // What it does in the window of another command is not that one's.
  const CommandRun other = run_command(meter, {{"sleep 0.1"}, true}, kQuiet, 1);
  EXPECT_LT(other.busy_seconds, alone / 3);
  wait_for_children();
}

TEST(Commands, AGrandchildThatEndedInTheWindowIsCounted) {
  MachineMeter meter(open_machine("/"), modelled(), false);
  const CommandRun run =
      run_command(meter, {{fmt::format("(setsid sh -c '{}' &) ; sleep 1.5", kWork)}, true}, kQuiet, 1);
  EXPECT_EQ(run.problem, "");
  EXPECT_GT(run.busy_seconds, 0.02);
}

TEST(Commands, TheStatusIsTheChilds) {
  MachineMeter meter(open_machine("/"), modelled(), false);
  EXPECT_EQ(run_command(meter, {{"exit 7"}, true}, kQuiet, 3).status, 7);
  EXPECT_EQ(run_command(meter, {{"exit 7"}, true}, kQuiet, 3).repetitions, 1);
  EXPECT_EQ(run_command(meter, {{"kill -9 $$"}, true}, kQuiet, 1).status, 128 + 9);
  EXPECT_THROW(run_command(meter, {{"no-such-program"}}, kQuiet, 1), Error);
}

TEST(Commands, EveryRunGetsTheWholeInput) {
  const std::string path = testing::TempDir() + "/input" + std::to_string(::getpid());
  std::ofstream(path) << "one\ntwo\nthree\n";
  MachineMeter meter(open_machine("/"), modelled(), false);
  const Streams streams{.quiet = true, .input = path};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(run_command(meter, {{"[ $(wc -l) = 3 ]"}, true}, streams, 2).status, 0);
  const Streams rest{.quiet = true, .input = path, .input_offset = 4};
  EXPECT_EQ(run_command(meter, {{"[ $(wc -l) = 2 ]"}, true}, rest, 2).status, 0);
  std::filesystem::remove(path);
}

TEST(Commands, SignalsArePassedOnAndEndTheWindow) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) {
    MachineMeter meter(open_machine("/"), modelled(), false);
    const SignalRelay relay;
    std::thread sender([signal] {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      ::kill(::getpid(), signal);
    });
    // The shell waits for a child of its own, which must end too.
    const CommandRun run = run_command(meter, {{"sleep 30; exit 3"}, true}, kQuiet, 1);
    sender.join();
    EXPECT_LT(run.energy.seconds, 10) << signal;
    EXPECT_GT(run.energy.joules, 0);
    EXPECT_NE(run.status, 0);
    EXPECT_EQ(SignalRelay::received(), signal);
    wait_for_children();
  }
}

TEST(Commands, AProgramThatMindsASignalEndsInItsOwnWay) {
  MachineMeter meter(open_machine("/"), modelled(), false);
  const SignalRelay relay;
  std::thread sender([] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ::kill(::getpid(), SIGTERM);
  });
  const CommandRun run = run_command(
      meter, {{"trap 'exit 5' TERM; i=0; while [ $i -lt 300 ]; do sleep 0.1; i=$((i+1)); done"}, true},
      kQuiet, 1);
  sender.join();
  EXPECT_EQ(run.status, 5);
  wait_for_children();
}

TEST(Commands, AFailureEndsTheRoundsAndIsKept) {
  MachineMeter meter(open_machine("/"), modelled(), false);
  MeasureOptions options;
  options.runs = 4;
  options.streams = kQuiet;
  const std::vector<Command> commands = {{{"exit 7"}, true}};
  const std::vector<Measurement> failed = measure_commands(meter, commands, options);
  ASSERT_EQ(failed.size(), 1u);
  EXPECT_EQ(failed[0].status, 7);
  EXPECT_EQ(failed[0].runs.size(), 1u);
  options.ignore_failure = true;
  const std::vector<Measurement> taken = measure_commands(meter, commands, options);
  EXPECT_EQ(taken[0].status, 0);
  EXPECT_EQ(taken[0].runs.size(), 4u);
  EXPECT_NE(taken[0].warnings.at(0).find("exit status 7"), std::string::npos);
}

/// A machine whose commands take a second of a power that drifts and wavers, behind a counter of 5 % gain.
struct Bench {
  std::unique_ptr<SimulatedMachine> owned = std::make_unique<SimulatedMachine>();
  SimulatedMachine* machine = owned.get();
  double watts = 50, joules = 1000;
  std::unique_ptr<MachineMeter> meter;
  Random random;

  explicit Bench(uint64_t seed) : random(seed) {
    const double gain = 1 + 0.05 / 1.96 * random.normal();
    const std::string zone = "/sys/class/powercap/intel-rapl:0";
    machine->put(zone + "/name", "package-0");
    machine->files[zone + "/energy_uj"] = [this, gain, last = machine->time]() mutable {
      joules += watts * (machine->time - last);
      last = machine->time;
      return fmt::format("{:.0f}", 1e6 * gain * joules);
    };
    meter = std::make_unique<MachineMeter>(std::move(owned), MeterOptions{}, false);
  }

  /// Commands by the place in `powers`; `drift` is relative a second, in waves of 40 s.
  std::vector<Measurement> measure(const std::vector<double>& powers, int runs, double noise, double drift) {
    std::vector<Command> commands;
    for (size_t i = 0; i < powers.size(); ++i) commands.push_back({{std::to_string(i)}, true});
    MeasureOptions options;
    options.runs = runs;
    options.seed = random.next();
    const double phase = random.uniform();
    options.run = [&](const Command& command, int repetitions) {
      const double wave = std::abs(std::fmod(machine->time / 40 + phase, 1.0) - 0.5);  // 0.5 in 20 s
      const double drifted = 1 + drift * 40 * wave;
      CommandRun run;
      run.repetitions = repetitions;
      const auto begin = meter->begin();
      watts = powers[std::stoul(command.arguments[0])] * drifted * (1 + noise * random.normal());
      for (int i = 0; i < 10 * repetitions; ++i) machine->sleep(0.1), meter->poll();
      run.energy = scaled(meter->end_foreign(begin, 1.0, Settle::kLoadEnded), 1.0 / repetitions);
      return run;
    };
    return measure_commands(*meter, commands, options);
  }
};

int false_verdicts(int tries, size_t commands, int runs, double noise, double drift) {
  int verdicts = 0;
  for (int i = 0; i < tries; ++i) {
    Bench bench(static_cast<uint64_t>(i) * 31 + 7);
    bool any = false;
    for (const Comparison& comparison :
         compare(bench.measure(std::vector<double>(commands, 50), runs, noise, drift)))
      any |= comparison.ratio.distinguishable();
    verdicts += any;
  }
  return verdicts;
}

TEST(Comparisons, IdenticalCommandsOnADriftingMachineDiffer5OfAHundredTimesAtMost) {
  for (const int runs : {5, 10}) {
    for (const double drift : {0.0, 0.005}) {  // 5 % in 10 s
      const int verdicts = false_verdicts(200, 2, runs, 0.01, drift);
      printf("%d runs, drift of %.1f %% in 10 s: %d false verdicts in 200\n", runs, 1000 * drift, verdicts);
      EXPECT_LE(verdicts, 10) << runs << " runs, drift " << drift;
    }
  }
  EXPECT_LE(false_verdicts(200, 2, 5, 0.0005, 0.005), 10) << "a drift far above the noise";
}

TEST(Comparisons, FiveIdenticalCommandsDiffer5OfAHundredTimesAtMost) {
  for (const double drift : {0.0, 0.005}) {
    const int verdicts = false_verdicts(200, 5, 6, 0.01, drift);
    printf("five commands, drift of %.1f %% in 10 s: %d false verdicts in 200\n", 1000 * drift, verdicts);
    EXPECT_LE(verdicts, 10) << drift;
  }
}

TEST(Comparisons, ThreePercentAreFoundIn30RunsOfOnePercentNoise) {
  for (const double drift : {0.0, 0.0005}) {
    int found = 0, held = 0;
    for (int i = 0; i < 100; ++i) {
      Bench bench(static_cast<uint64_t>(i) * 17 + 3);
      const auto comparisons = compare(bench.measure({50, 51.5}, 30, 0.01, drift));
      ASSERT_EQ(comparisons.size(), 1u);
      found += comparisons[0].ratio.distinguishable() && comparisons[0].command == 1;
      held += comparisons[0].ratio.low <= 1.03 && 1.03 <= comparisons[0].ratio.high;
    }
    printf("3 %% found in %d of 100, held by %d intervals\n", found, held);
    EXPECT_GE(found, 90) << drift;
    EXPECT_GE(held, 88) << drift;
  }
}

TEST(Comparisons, FewerThanThreeRoundsGiveNoVerdict) {
  Bench bench(1);
  for (const int runs : {1, 2}) {
    const auto measurements = bench.measure({50, 100}, runs, 0.01, 0);
    EXPECT_TRUE(std::isnan(measurements[0].spread_half));
    const auto comparisons = compare(measurements);
    ASSERT_EQ(comparisons.size(), 1u);
    EXPECT_FALSE(comparisons[0].ratio.bounded());
    EXPECT_FALSE(comparisons[0].ratio.distinguishable());
    EXPECT_TRUE(std::isnan(comparisons[0].ratio.p));
  }
  EXPECT_TRUE(compare(bench.measure({50, 100}, 3, 0.01, 0))[0].ratio.distinguishable());
}

TEST(Comparisons, CommandsInterleaveInRounds) {
  Bench bench(3);
  std::vector<size_t> order;
  MeasureOptions options;
  options.runs = 20;
  options.run = [&](const Command& command, int) {
    order.push_back(std::stoul(command.arguments[0]));
    CommandRun run;
    run.energy.joules = run.energy.high = 1, run.energy.seconds = 100, run.energy.source = "x";
    return run;
  };
  const std::vector<Command> commands = {{{"0"}, true}, {{"1"}, true}, {{"2"}, true}};
  const auto measurements = measure_commands(*bench.meter, commands, options);
  ASSERT_EQ(order.size(), 60u);
  int first = 0;
  for (size_t round = 0; round < 20; ++round) {
    std::vector<size_t> ran(order.begin() + static_cast<ptrdiff_t>(3 * round),
                            order.begin() + static_cast<ptrdiff_t>(3 * round + 3));
    first += ran[0] == 0;
    if (round % 2 == 1) {
      EXPECT_EQ(ran[0], order[3 * round - 1]);  // the reverse of the round before
    }
    std::sort(ran.begin(), ran.end());
    EXPECT_EQ(ran, (std::vector<size_t>{0, 1, 2}));
    EXPECT_EQ(measurements[1].runs[round].round, static_cast<int>(round));
  }
  EXPECT_GT(first, 1);
  EXPECT_LT(first, 15);
}

}  // namespace
}  // namespace wattle
