// The team of threads that shares out work, and how it gives way to others.
#include "base/team.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "base/threads.h"

namespace wattle {
namespace {

/// Sets the team's threads until it is destroyed.
class ThreadsFor {
 public:
  explicit ThreadsFor(int count) : before_(threads()) { set_threads(count); }
  ~ThreadsFor() { set_threads(before_); }
  ThreadsFor(const ThreadsFor&) = delete;
  ThreadsFor& operator=(const ThreadsFor&) = delete;

 private:
  int before_;
};

/// Runs f(part) by a team of its own, of so many threads.
template <class F>
void run_parts(Team& team, int members, int64_t parts, const F& f) {
  const Team::Job job{1, parts,
                      [](const void* of, int64_t, int64_t part) { (*static_cast<const F*>(of))(part); }, &f};
  ASSERT_TRUE(team.run(members, job, [&] { return members; }));
}

TEST(Team, EveryPartRunsOnceForAnyNumberOfThreads) {
  for (const int members : {1, 2, 3, 4}) {
    Team team(4);
    for (const int64_t parts : {1, 2, 3, 7, 64, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<size_t>(parts));
      run_parts(team, members, parts, [&](int64_t part) { ++runs[static_cast<size_t>(part)]; });
      for (const std::atomic<int>& count : runs)
        ASSERT_EQ(count, 1) << members << " threads, " << parts << " parts";
    }
  }
}

TEST(Team, ManySmallJobsFollowEachOther) {
  Team team(4);
  std::atomic<int64_t> sum{0};
  for (int job = 0; job < 20000; ++job) {
    run_parts(team, 2 + job % 3, 1 + job % 5, [&](int64_t part) { sum += part + 1; });
  }
  int64_t expected = 0;
  for (int job = 0; job < 20000; ++job) expected += (1 + job % 5) * (2 + job % 5) / 2;
  EXPECT_EQ(sum, expected);
}

// A pause longer than waiting turns between jobs: everybody sleeps and is woken.
TEST(Team, WhatTheNextJobReadsIsAHintAlone) {
  const ThreadsFor threads(2);
  std::vector<std::byte> memory(1 << 20);
  const ReadAhead hints[] = {
      {},
      {memory.data(), 4096, 256},
      {memory.data(), 4096, 1},
      {memory.data(), 0, 0},
      {reinterpret_cast<const std::byte*>(uintptr_t{1} << 40), 1 << 16, 1000},  // no memory of ours
  };
  std::atomic<int64_t> sum{0};
  for (const ReadAhead& hint : hints) {
    for (int job = 0; job < 200; ++job)
      for_each_part(
          4, [&](int64_t part) { sum += part; }, hint);
  }
  EXPECT_EQ(sum, 6 * 200 * static_cast<int64_t>(std::size(hints)));
}

TEST(Team, SleepsBetweenJobs) {
  Team team(3);
  for (int job = 0; job < 50; ++job) {
    std::atomic<int> runs{0};
    run_parts(team, 3, 6, [&](int64_t) { ++runs; });
    ASSERT_EQ(runs, 6);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST(Team, StepsWaitForEachOther) {
  constexpr int64_t kSteps = 300, kParts = 5;
  const ThreadsFor team(4);
  std::vector<int64_t> values(kParts, 0);
  struct Context {
    std::vector<int64_t>& values;
    std::vector<int64_t> before = std::vector<int64_t>(kParts);
  } context{values};
  // Even steps read what all parts wrote; odd ones write.
  run_by_team(
      2 * kSteps, kParts,
      [](const void* of, int64_t step, int64_t part) {
        auto& its = *static_cast<Context*>(const_cast<void*>(of));
        const auto index = static_cast<size_t>(part);
        if (step % 2 == 0) {
          its.before[index] = std::accumulate(its.values.begin(), its.values.end(), int64_t{0});
        } else {
          its.values[index] = its.before[index] % 1000003 + part;
        }
      },
      &context);
  std::vector<int64_t> expected(kParts, 0);
  for (int64_t step = 0; step < kSteps; ++step) {
    const int64_t sum = std::accumulate(expected.begin(), expected.end(), int64_t{0});
    for (int64_t part = 0; part < kParts; ++part) expected[static_cast<size_t>(part)] = sum % 1000003 + part;
  }
  EXPECT_EQ(values, expected);
}

// One thread is stuck in a part; the others do all the rest, whosever it was.
TEST(Team, OthersDoTheWorkOfAThreadThatIsStuck) {
  Team team(2);
  std::atomic<int> others{0};
  constexpr int64_t kParts = 64;
  run_parts(team, 2, kParts, [&](int64_t part) {
    if (part == 0) {
      while (others < kParts - 1) std::this_thread::yield();
    } else {
      ++others;
    }
  });
  EXPECT_EQ(others, kParts - 1);
}

TEST(Team, TakesThreadsWhileAJobRuns) {
  Team team(2);
  run_parts(team, 2, 2, [](int64_t) {});  // makes both threads
  std::set<std::thread::id> seen;
  std::mutex guard;
  std::atomic<int> left{2000};
  const auto part = [&](int64_t) {
    std::this_thread::sleep_for(std::chrono::microseconds(20));
    const std::lock_guard lock(guard);
    seen.insert(std::this_thread::get_id());
    --left;
  };
  const Team::Job job{
      1, 2000, [](const void* of, int64_t, int64_t i) { (*static_cast<const decltype(part)*>(of))(i); },
      &part};
  ASSERT_TRUE(team.run(1, job, [&] { return left < 1500 ? 2 : 1; }));
  EXPECT_EQ(left, 0);
  EXPECT_EQ(seen.size(), 2u);
}

TEST(Team, TheFirstFailingPartIsToldAndTheStepIsFinished) {
  const ThreadsFor team(3);
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> runs{0};
    try {
      for_each_part(40, [&](int64_t part) {
        ++runs;
        if (part % 8 == 5) fail("part {}", part);
      });
      FAIL() << "no exception";
    } catch (const Error& error) {
      EXPECT_STREQ(error.what(), "part 5");
    }
    EXPECT_EQ(runs, 40);
  }
  std::atomic<int> after{0};
  for_each_part(40, [&](int64_t) { ++after; });
  EXPECT_EQ(after, 40);
}

TEST(Team, AStepThatFailsIsTheLast) {
  const ThreadsFor team(2);
  std::atomic<int64_t> last{0};
  EXPECT_THROW(in_numbered_steps(true, 9,
                                 [&](int64_t number, Part) {
                                   last = number;
                                   if (number == 4) fail("step {}", number);
                                 }),
               Error);
  EXPECT_EQ(last, 4);
}

TEST(Team, WhatAPartCallsStaysOnItsThread) {
  const ThreadsFor team(2);
  std::atomic<int> wrong{0}, runs{0};
  for_each_part(8, [&](int64_t) {
    const std::thread::id mine = std::this_thread::get_id();
    for_each_index(50, true, [&](int64_t) {
      ++runs;
      if (std::this_thread::get_id() != mine) ++wrong;
    });
    in_numbered_steps(true, 3, [&](int64_t, Part part) {
      if (part.of != 1 || std::this_thread::get_id() != mine) ++wrong;
    });
  });
  EXPECT_EQ(runs, 400);
  EXPECT_EQ(wrong, 0);
  EXPECT_FALSE(in_team());
}

// The second finds the team at work and does its job alone.
TEST(Team, TwoThreadsMayUseItAtOnce) {
  const ThreadsFor team(2);
  const auto work = [] {
    for (int round = 0; round < 500; ++round) {
      std::vector<int64_t> squares(97);
      for_each_index(97, true, [&](int64_t i) { squares[static_cast<size_t>(i)] = i * i; });
      for (int64_t i = 0; i < 97; ++i) {
        if (squares[static_cast<size_t>(i)] != i * i) return false;
      }
    }
    return true;
  };
  bool other = false;
  std::thread thread([&] { other = work(); });
  EXPECT_TRUE(work());
  thread.join();
  EXPECT_TRUE(other);
}

TEST(Team, TheNumberOfThreadsMayChangeBetweenJobs) {
  const ThreadsFor restored(threads());
  for (int round = 0; round < 60; ++round) {
    set_threads(1 + round % std::min(4, most_threads()));
    std::atomic<int64_t> sum{0};
    for_each_index(1000, true, [&](int64_t i) { sum += i; });
    ASSERT_EQ(sum, 499500);
  }
}

TEST(Team, MoreThanTheLimitOfPartsAreGrouped) {
  const ThreadsFor team(2);
  std::atomic<int64_t> sum{0};
  for_each_part(Team::kMostParts + 12345, [&](int64_t part) { sum += part; });
  const int64_t parts = Team::kMostParts + 12345;
  EXPECT_EQ(sum, parts * (parts - 1) / 2);
}

TEST(Team, AForkedChildMakesItsOwnThreads) {
#if defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "ThreadSanitizer allows no threads in the child of a process with threads";
#endif
  const ThreadsFor team(2);
  for_each_part(4, [](int64_t) {});
  for (int child = 0; child < 5; ++child) {
    const pid_t process = ::fork();
    ASSERT_GE(process, 0);
    if (process == 0) {
      std::atomic<int> runs{0};
      set_threads(2);
      for (int job = 0; job < 100; ++job) for_each_part(6, [&](int64_t) { ++runs; });
      ::_exit(runs == 600 ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(process, &status, 0), process);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  }
}

TEST(Threads, OutOfRangeIsRefused) {
  EXPECT_THROW(set_threads(0), Error);
  EXPECT_THROW(set_threads(most_threads() + 1), Error);
}

TEST(Threads, TheEnvironmentsNumberIsRead) {
  EXPECT_EQ(threads_of_omp("4"), 4);
  EXPECT_EQ(threads_of_omp("3,2"), 3);
  for (const char* wrong : {"", "0", "-2", "many", "4x", ",3"}) EXPECT_EQ(threads_of_omp(wrong), 0) << wrong;
}

TEST(Threads, WhoChoseThemIsTold) {
  const ThreadsFor restored(threads());
  set_threads(2, "the plan");
  EXPECT_EQ(describe({.most = 2, .smallest = 2}), "2 threads (the plan)");
  const TeamReport shrunk{
      .most = 2, .smallest = 1, .shrunk = 1, .seconds = 8, .seconds_shrunk = 2, .why = Shrunk::kOthers};
  EXPECT_EQ(describe(shrunk),
            "2 threads (the plan), 25 % of the time fewer, at least 1: others use its cores");
}

TEST(CoreLoad, ReadsWhatTheKernelWrites) {
  const std::string stat =
      "cpu  30 0 30 900 40 0 0 70 0 0\ncpu0 10 0 10 300 10 0 0 20 0 0\ncpu1 10 0 10 200 10 0 0 30 0 0\n"
      "cpu10 10 0 10 400 20 0 0 20 0 0\nintr 1234 5 6\nctxt 99\n";
  const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  const auto all = core_times(stat, {});
  ASSERT_TRUE(all);
  EXPECT_DOUBLE_EQ(all->idle, 940 * tick);
  EXPECT_DOUBLE_EQ(all->stolen, 70 * tick);
  const auto some = core_times(stat, {1, 10});
  ASSERT_TRUE(some);
  EXPECT_DOUBLE_EQ(some->idle, 630 * tick);
  EXPECT_DOUBLE_EQ(some->stolen, 50 * tick);
  EXPECT_FALSE(core_times("intr 1\n", {}));
  EXPECT_FALSE(core_times(stat, {5}));

  EXPECT_DOUBLE_EQ(run_queue_delay("81000 2500000000 12\n").value(), 2.5);
  EXPECT_FALSE(run_queue_delay("81000"));
  EXPECT_FALSE(run_queue_delay(""));

  EXPECT_DOUBLE_EQ(throttled_seconds("nr_periods 5\nnr_throttled 2\nthrottled_usec 1500000\n").value(), 1.5);
  EXPECT_DOUBLE_EQ(throttled_seconds("nr_periods 5\nnr_throttled 2\nthrottled_time 1500000000\n").value(),
                   1.5);
  EXPECT_FALSE(throttled_seconds("usage_usec 12\n"));
}

TEST(CoreLoad, OwnDelayIsShownByThisKernel) {
  const RunQueueDelay delay;
  if (!delay.seconds()) GTEST_SKIP() << "the kernel shows no schedstat";
  EXPECT_GE(*delay.seconds(), 0);
}

// A window in which one thread of the team waited for nearly all of it, and the others for that thread.
void hold_up(TeamSize& size) {
  size.note_delay(0.02, {0.018, 0.018}, 0.02 * (size.size() - 1.4));
}

TEST(TeamSize, GivesACoreUpThatOthersUse) {
  TeamSize size(2);
  size.note_delay(0.02, {0.004, 0.004}, 0.01);  // the thread that waits is not why so little is done
  size.note_delay(0.02, {0.01, 0.01}, 0.012);
  EXPECT_EQ(size.size(), 1);
  EXPECT_EQ(size.why(), Shrunk::kOthers);
  for (int i = 0; i < 9; ++i) size.note_delay(0.02, {0.02, 0.02}, 0);
  EXPECT_EQ(size.size(), 1);
}

// Half a core more than one thread has is worth waiting for, and a bad moment is made up for.
TEST(TeamSize, KeepsACoreOfWhichItHasEnough) {
  TeamSize size(2);
  for (int i = 0; i < 20; ++i) size.note_delay(0.02, {0.01, 0.01}, 0.03);
  for (int i = 0; i < 20; ++i) size.note_delay(0.01, {0.005, 0.005}, i % 2 == 0 ? 0.005 : 0.02);
  EXPECT_EQ(size.size(), 2);
}

TEST(TeamSize, GivesUpAsManyAsAreTaken) {
  TeamSize size(64);
  size.note_delay(0.02, {0.02 * 7.8, 0.018}, 0.02 * 50);
  EXPECT_EQ(size.size(), 56);
}

TEST(TeamSize, ManyShortWaitsAreNoReason) {
  TeamSize size(64);
  for (int i = 0; i < 100; ++i) size.note_delay(0.02, {0.02, 0.002}, 0.02 * 40);
  EXPECT_EQ(size.size(), 64);
}

TEST(TeamSize, ComesBackWhenTheCoreIsIdle) {
  TeamSize size(2);
  hold_up(size);
  size.note_cores(0.1, CoreTimes{0.00, 0}, 0, 0.1);  // the other core is busy
  EXPECT_EQ(size.size(), 1);
  size.note_cores(0.1, CoreTimes{0.10, 0}, 0, 0.0);  // this thread did nothing itself
  EXPECT_EQ(size.size(), 1);
  size.note_cores(0.1, CoreTimes{0.09, 0}, 0, 0.1);
  EXPECT_EQ(size.size(), 2);
  EXPECT_EQ(size.why(), Shrunk::kNo);
}

// Seconds until a team of one tries a core of which nothing is known.
double seconds_until_growth(TeamSize& size) {
  double seconds = 0;
  for (; size.size() == 1 && seconds < 100; seconds += size.core_window())
    size.note_cores(size.core_window(), std::nullopt, 0, size.core_window());
  return seconds;
}

TEST(TeamSize, TriesSeldomWhereTryingWasAMistake) {
  TeamSize size(2);
  double before = 0;
  for (int round = 0; round < 12; ++round) {
    hold_up(size);
    ASSERT_EQ(size.size(), 1);
    const double seconds = seconds_until_growth(size);
    ASSERT_EQ(size.size(), 2);
    EXPECT_GE(seconds, before);
    before = seconds;
  }
  EXPECT_GT(before, 5);
  EXPECT_LT(before, 10);
  for (int i = 0; i < 100; ++i) size.note_delay(0.02, {}, 0.04);  // that time it was right
  hold_up(size);
  EXPECT_LT(seconds_until_growth(size), 1);
}

// Nothing is idle, and yet it may have a second core: the others yield to it.
TEST(TeamSize, TriesACoreThatIsNotIdle) {
  TeamSize size(2);
  hold_up(size);
  for (int i = 0; i < 10 && size.size() == 1; ++i) size.note_cores(0.1, CoreTimes{0, 0}, 0, 0.1);
  EXPECT_EQ(size.size(), 2);
}

TEST(TeamSize, GivesWayToTheHypervisor) {
  TeamSize size(4);
  size.note_cores(0.2, CoreTimes{0, 0.01}, 0, 0.8);
  EXPECT_EQ(size.size(), 4);
  size.note_cores(0.2, CoreTimes{0, 0.1}, 0, 0.6);
  EXPECT_EQ(size.size(), 3);
  EXPECT_EQ(size.why(), Shrunk::kStolen);
}

TEST(TeamSize, IsNoLargerThanAQuotaThatIsUsedUp) {
  TeamSize size(4, 1.5);
  size.note_cores(0.2, CoreTimes{0, 0}, 0.001, 0.6);
  EXPECT_EQ(size.size(), 4);
  size.note_cores(0.2, CoreTimes{0, 0}, 0.1, 0.3);
  EXPECT_EQ(size.size(), 2);
  EXPECT_EQ(size.why(), Shrunk::kQuota);
  size.note_cores(0.2, CoreTimes{0.4, 0}, 0.1, 0.3);  // idle because of the quota
  EXPECT_EQ(size.size(), 2);
}

}  // namespace
}  // namespace wattle
