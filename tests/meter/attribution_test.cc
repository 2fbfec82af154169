// Joules of processes: by cycles where perf counts them, else by processor time; they always add up.
#include <gtest/gtest.h>

#include <cerrno>

#include "meter/attribution.h"
#include "meter/process_cycles.h"
#include "simulated_machine.h"

namespace wattle {
namespace {

/// Three processes over a window of 123.456 J, of which 23.4 J are idle and 0.15 of the busy time is not
/// theirs.
struct Scene {
  ProcessTimes begin, end;
  Energy window;
  Scene() {
    begin.processes = {{1, {"a", 1.0}}, {2, {"b", 5.0}}, {4, {"sleeps", 9.0}}};
    end.processes = {{1, {"a", 1.5}}, {2, {"b", 5.25}}, {3, {"new", 0.1}}, {4, {"sleeps", 9.0}}};
    begin.busy_seconds = 10, end.busy_seconds = 11;
    window.joules = 123.456, window.idle_joules = 23.4, window.idle_known = true;
    window.grade = Grade::kMeasured, window.source = "rapl-perf";
  }
  double net() const { return window.joules - window.idle_joules; }
};

double sum_of(const std::vector<ProcessShare>& shares) {
  double sum = 0;
  for (const ProcessShare& share : shares) sum += share.energy.joules;
  return sum;
}

TEST(Attribution, SharesByTimeAddUpToTheWindow) {
  const Scene scene;
  const auto shares = attribute(scene.window, scene.begin, scene.end);
  EXPECT_EQ(sum_of(shares), scene.window.joules);
  ASSERT_EQ(shares.size(), 5u);
  EXPECT_EQ(shares[0].name, "a");
  EXPECT_NEAR(shares[0].energy.joules, scene.net() * 0.5, 1e-9);
  EXPECT_EQ(shares[0].energy.grade, Grade::kAttributed);
  EXPECT_EQ(shares[3].name, "idle");
  EXPECT_NEAR(shares[3].energy.joules, 23.4, 1e-9);
  EXPECT_EQ(shares[4].name, "rest");
  EXPECT_NEAR(shares[4].energy.joules, scene.net() * 0.15, 1e-9);
}

TEST(Attribution, SharesByCyclesAddUpToTheWindowAndLeaveTheRestAsItIs) {
  const Scene scene;
  // "b" runs at twice the clock of "a"; "new" has no count yet and gets the mean cycles of its time.
  const std::map<long, double> cycles = {{1, 0.5e9}, {2, 0.5e9}, {4, 0}};
  const auto shares = attribute(scene.window, scene.begin, scene.end, cycles);
  EXPECT_EQ(sum_of(shares), scene.window.joules);
  ASSERT_EQ(shares.size(), 5u);
  const double usual = 1e9 / 0.75, all = 1e9 + 0.1 * usual;
  for (const ProcessShare& share : shares) {
    const double cycles_of = share.pid == 3 ? 0.1 * usual : 0.5e9;
    if (share.pid > 0) {
      EXPECT_NEAR(share.energy.joules, scene.net() * 0.85 * cycles_of / all, 1e-9);
    }
    EXPECT_NE(share.pid, 4);
  }
  EXPECT_NEAR(shares[4].energy.joules, scene.net() * 0.15, 1e-9);
}

TEST(Attribution, BurstsShorterThanATickOfProcAreSeenByCycles) {
  Scene scene;
  const auto shares = attribute(scene.window, scene.begin, scene.end, {{1, 0.5e9}, {2, 0.25e9}, {4, 0.01e9}});
  EXPECT_EQ(sum_of(shares), scene.window.joules);
  const auto sleeper =
      std::find_if(shares.begin(), shares.end(), [](const auto& share) { return share.pid == 4; });
  ASSERT_NE(sleeper, shares.end());
  EXPECT_GT(sleeper->energy.joules, 0);
}

TEST(Attribution, NothingBusyIsIdle) {
  Scene scene;
  scene.end = scene.begin;
  const auto shares = attribute(scene.window, scene.begin, scene.end, {{1, 0}, {2, 0}});
  EXPECT_EQ(sum_of(shares), scene.window.joules);
  ASSERT_EQ(shares.size(), 2u);
  EXPECT_NEAR(shares[0].energy.joules, scene.window.joules, 1e-9);
}

/// A machine with three threads of two processes, whose cycles the test sets.
struct Threads {
  SimulatedMachine machine;
  std::map<long, uint64_t> cycles = {{10, 1000}, {11, 2000}, {20, 500}};
  Threads() {
    for (const char* path : {"/proc/10/task/10/stat", "/proc/10/task/11/stat", "/proc/20/task/20/stat"})
      machine.put(path, "");
    for (const auto& [thread, count] : cycles) {
      const long id = thread;
      machine.thread_events[id] = [this, id] { return cycles[id]; };
    }
  }
  static ProcessTimes times(double first, double second) {
    ProcessTimes made;
    made.processes = {{10, {"first", first}}, {20, {"second", second}}};
    return made;
  }
};

TEST(Cycles, AreCountedForProcessesThatWorkWithAllTheirThreads) {
  Threads threads;
  ProcessCycles cycles(threads.machine);
  const ProcessTimes start = Threads::times(1, 1);
  EXPECT_TRUE(cycles.since_last(start, start).empty());
  EXPECT_EQ(threads.machine.open_events(), 0);
  EXPECT_TRUE(cycles.since_last(start, Threads::times(2, 1)).empty());  // opened now
  EXPECT_EQ(threads.machine.open_events(), 2);
  threads.cycles = {{10, 1100}, {11, 2050}, {20, 700}};
  EXPECT_EQ(cycles.since_last(Threads::times(2, 1), Threads::times(3, 2)),
            (std::map<long, double>{{10, 150}}));
  threads.cycles = {{10, 1100}, {11, 2051}, {20, 760}};
  EXPECT_EQ(cycles.since_last(Threads::times(3, 2), Threads::times(3, 2)),
            (std::map<long, double>{{10, 1}, {20, 60}}));
  ProcessTimes without = Threads::times(3, 2);
  without.processes.erase(10);
  EXPECT_EQ(cycles.since_last(Threads::times(3, 2), without), (std::map<long, double>{{20, 0}}));
  EXPECT_EQ(threads.machine.open_events(), 1);
  EXPECT_EQ(cycles.obstacle(), "");
}

TEST(Cycles, APidThatWasGivenAnewIsCountedAnew) {
  Threads threads;
  ProcessCycles cycles(threads.machine);
  cycles.since_last(Threads::times(1, 5), Threads::times(1, 6));
  threads.cycles[20] = 900;
  EXPECT_TRUE(cycles.since_last(Threads::times(1, 6), Threads::times(1, 0.5)).empty());
  threads.cycles[20] = 950;
  EXPECT_EQ(cycles.since_last(Threads::times(1, 0.5), Threads::times(1, 0.7)),
            (std::map<long, double>{{20, 50}}));
  EXPECT_EQ(threads.machine.open_events(), 1);
}

TEST(Cycles, ThatAreRefusedAreSaidInOneLineAndGivenUpForAll) {
  const std::pair<int, const char*> cases[] = {{EACCES, "setcap cap_perfmon"},
                                               {EMFILE, "ulimit -n"},
                                               {ENOENT, "perf counts no cycles on this machine"},
                                               {EOPNOTSUPP, "perf counts no cycles on this machine"}};
  for (const auto& [error, said] : cases) {
    Threads threads;
    ProcessCycles cycles(threads.machine);
    const ProcessTimes start = Threads::times(1, 1);
    EXPECT_TRUE(cycles.since_last(start, Threads::times(2, 1)).empty());
    threads.machine.thread_refusal = error;
    EXPECT_TRUE(cycles.since_last(Threads::times(2, 1), Threads::times(3, 2)).empty());
    EXPECT_NE(cycles.obstacle().find(said), std::string::npos) << cycles.obstacle();
    EXPECT_EQ(cycles.obstacle().find('\n'), std::string::npos);
    EXPECT_EQ(threads.machine.open_events(), 0);
    threads.machine.thread_refusal = 0;
    EXPECT_TRUE(cycles.since_last(Threads::times(3, 2), Threads::times(4, 3)).empty());
  }
}

TEST(Cycles, AThreadThatEndsBeforeItIsOpenedIsNoObstacle) {
  Threads threads;
  ProcessCycles cycles(threads.machine);
  threads.machine.thread_refusal = ESRCH;
  cycles.since_last(Threads::times(1, 1), Threads::times(2, 1));
  EXPECT_EQ(cycles.obstacle(), "");
}

}  // namespace
}  // namespace wattle
