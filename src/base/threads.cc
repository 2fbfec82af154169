#include "base/threads.h"

#include <pthread.h>
#include <time.h>

#include <atomic>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <wattle/error.h>

#include "base/core_load.h"
#include "base/cpu.h"
#include "base/team.h"

namespace wattle::inline base {
namespace {

/// Waiting turns at most so long: to sleep and be woken takes a virtual machine 50 us and more.
constexpr int64_t kLongestTurn = 100'000;

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// The same clock as it was at the kernel's last tick, some milliseconds ago: every job asks, and reading the
/// clock itself takes a virtual machine 50 ns.
double seconds_at_last_tick() {
  timespec time{};
  if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &time) != 0) return seconds_now();
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double process_seconds() {
  timespec time{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Seconds that the calling thread waited for a core since it last asked here.
double own_delay() {
  thread_local const RunQueueDelay delay;
  thread_local double before = delay.seconds().value_or(0);
  const double now = delay.seconds().value_or(0);
  return now - std::exchange(before, now);
}

/// The team of the process and what decides how many of its threads are at work.
class TeamOfProcess {
 public:
  TeamOfProcess() : team_(most_threads()) { choose(default_threads(), {}); }

  void choose(int threads, std::string_view by) {
    const std::lock_guard lock(looking_);
    chosen_by_ = by;
    most_ = threads;
    size_ = TeamSize(threads, processor_limits().quota);
    now_.store(threads, std::memory_order_relaxed);
    wanted_.store(threads, std::memory_order_relaxed);
    team_.set_longest_turn(threads > most_threads() / 4 ? 0 : kLongestTurn);
    report_ = {.most = threads, .smallest = threads};
    next_look_.store(0, std::memory_order_relaxed);
  }

  int most() const { return most_.load(std::memory_order_relaxed); }
  int now() const { return now_.load(std::memory_order_relaxed); }

  std::string chosen_by() {
    const std::lock_guard lock(looking_);
    return chosen_by_;
  }

  /// Looks after the cores where it is time to, and takes what was found as the team's size.
  int refreshed() {
    const int size = look();
    now_.store(size, std::memory_order_relaxed);
    return size;
  }

  void run(int64_t steps, int64_t parts, RunPart part, const void* context, const ReadAhead& next) {
    const Team::Job job{steps, parts, part, context, next};
    if (parts > 1 && most() > 1 && !in_team() && team_.run(now(), job, [this] { return look(); })) return;
    for (int64_t step = 0; step < steps; ++step) {
      for (int64_t i = 0; i < parts; ++i) part(context, step, i);
    }
  }

  TeamReport report() {
    const std::lock_guard lock(looking_);
    return report_;
  }
  void forget_report() {
    const std::lock_guard lock(looking_);
    report_ = {.most = size_.most(), .smallest = size_.size(), .why = size_.why()};
  }

  bool is_running() const { return team_.is_running(); }

 private:
  int look() {
    if (seconds_at_last_tick() >= next_look_.load(std::memory_order_relaxed)) {
      if (const std::unique_lock lock(looking_, std::try_to_lock); lock.owns_lock()) look(seconds_now());
    }
    return wanted_.load(std::memory_order_relaxed);
  }

  void look(double now) {
    const bool has_quota = processor_limits().quota > 0;
    const bool at_cores = now - cores_since_ >= size_.core_window();
    const int before = size_.size();
    // What the quota takes is delay too, and only told together with the cores' times.
    if (next_look_ == 0) {
      begin_delay(now), begin_cores(now);
    } else if (has_quota) {
      if (at_cores) look_at_both(now);
    } else {
      const double seconds = now - std::exchange(delay_since_, now);
      size_.note_delay(seconds, begin_delay_of_team(), begin_work());
      if (size_.size() == before && at_cores) look_at_cores(now, 0);
    }
    next_look_ = now + size_.delay_window();
    tell(now, before);
  }

  void look_at_both(double now) {
    const int before = size_.size();
    const double throttled_until = throttled_seconds(processor_limits()).value_or(0);
    const double throttled = throttled_until - std::exchange(throttled_, throttled_until);
    const double seconds = now - std::exchange(delay_since_, now);
    CoreDelay delay = begin_delay_of_team();
    delay.sum = std::max(0.0, delay.sum - throttled), delay.largest = std::min(delay.largest, delay.sum);
    size_.note_delay(seconds, delay, begin_work());
    if (size_.size() == before) look_at_cores(now, throttled);
  }

  void look_at_cores(double now, double throttled) {
    const std::optional<CoreTimes> times = core_times();
    const double process = process_seconds();
    std::optional<CoreTimes> passed;
    if (times && times_) passed = {times->idle - times_->idle, times->stolen - times_->stolen};
    size_.note_cores(now - cores_since_, passed, throttled, process - process_);
    times_ = times, process_ = process, cores_since_ = now;
  }

  CoreDelay begin_delay_of_team() {
    CoreDelay delay = team_.new_delay();
    const double own = own_delay();
    delay.sum += own, delay.largest = std::max(delay.largest, own);
    return delay;
  }

  /// Seconds that the process worked since the last time, without the team's turning.
  double begin_work() {
    const double worked = process_seconds() - team_.turned();
    return worked - std::exchange(worked_, worked);
  }

  void begin_delay(double now) {
    begin_delay_of_team(), begin_work();
    delay_since_ = now;
  }

  void begin_cores(double now) {
    times_ = core_times(), process_ = process_seconds(), cores_since_ = now;
    throttled_ = throttled_seconds(processor_limits()).value_or(0);
  }

  /// Remembers what was decided.
  void tell(double now, int before) {
    const double passed = reported_ == 0 ? 0 : now - reported_;
    reported_ = now;
    report_.seconds += passed;
    if (before < size_.most()) report_.seconds_shrunk += passed;
    if (size_.size() != before) begin_cores(now);  // a window begins with the size that it is about
    if (size_.size() < before) ++report_.shrunk, report_.why = size_.why();
    report_.smallest = std::min(report_.smallest, size_.size());
    wanted_.store(size_.size(), std::memory_order_relaxed);
  }

  Team team_;
  std::atomic<int> most_{1}, now_{1};
  std::atomic<int> wanted_{1};  ///< what `now_` becomes between two jobs
  std::atomic<double> next_look_{0};

  std::mutex looking_;  ///< guards what follows
  TeamSize size_{1};
  std::string chosen_by_;
  double delay_since_ = 0, worked_ = 0;
  double cores_since_ = 0, process_ = 0, throttled_ = 0;
  std::optional<CoreTimes> times_;
  TeamReport report_;
  double reported_ = 0;
};

std::atomic<TeamOfProcess*> team_of_process{nullptr};
std::mutex making;

/// The threads end with the process, unless a job is running: it would have to be waited for.
void end_team() {
  TeamOfProcess* const team = team_of_process.load();
  if (team == nullptr || team->is_running() || in_team()) return;
  team_of_process = nullptr;
  delete team;
}

/// A forked child has none of the threads; what they left behind is of no use to it.
void forget_team() {
  team_of_process = nullptr;
}

TeamOfProcess& team() {
  if (TeamOfProcess* const found = team_of_process.load(std::memory_order_acquire)) return *found;
  const std::lock_guard lock(making);
  if (team_of_process == nullptr) {
    static const bool registered = [] {
      return std::atexit(end_team) == 0 && ::pthread_atfork(nullptr, nullptr, forget_team) == 0;
    }();
    if (!registered) fail("a team of threads: the system is out of memory; end other programs");
    team_of_process = new TeamOfProcess;
  }
  return *team_of_process;
}

}  // namespace

int most_threads() {
  return 4 * static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

int threads_of_omp(std::string_view text) {
  int threads = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), threads);
  const bool whole = error == std::errc() && (end == text.data() + text.size() || *end == ',');
  return whole && threads > 0 ? threads : 0;
}

void set_threads(int threads, std::string_view chosen_by) {
  if (threads < 1 || threads > most_threads()) {
    fail("{} threads ({}): must be between 1 and {} on this machine; leave it out for {}", threads, chosen_by,
         most_threads(), why_default_threads());
  }
  team().choose(threads, chosen_by);
}

int threads() {
  return team().most();
}

std::string threads_chosen_by() {
  const std::string chosen = team().chosen_by();
  return chosen.empty() ? why_default_threads() : chosen;
}

int active_threads() {
  TeamOfProcess& mine = team();
  return in_team() ? mine.now() : mine.refreshed();
}

TeamReport team_report() {
  return team().report();
}

void forget_team_report() {
  team().forget_report();
}

std::string describe(const TeamReport& report) {
  std::string text =
      fmt::format("{} thread{} ({})", report.most, report.most == 1 ? "" : "s", threads_chosen_by());
  if (report.seconds_shrunk <= 0) return text;
  return text + fmt::format(", {:.0f} % of the time fewer, at least {}: {}",
                            100 * report.seconds_shrunk / report.seconds, report.smallest, name(report.why));
}

void run_by_team(int64_t steps, int64_t parts, RunPart run, const void* context, const ReadAhead& next) {
  if (steps <= 0 || parts <= 0) return;
  if (parts <= Team::kMostParts) return team().run(steps, parts, run, context, next);
  struct Grouped {
    int64_t parts;
    RunPart run;
    const void* context;
  } const grouped{parts, run, context};
  team().run(
      steps, Team::kMostParts,
      [](const void* of, int64_t step, int64_t group) {
        const auto& its = *static_cast<const Grouped*>(of);
        const IndexRange range = Part{group, Team::kMostParts}.range(its.parts);
        for (int64_t part = range.begin; part < range.end; ++part) its.run(its.context, step, part);
      },
      &grouped, next);
}

}  // namespace wattle::inline base
