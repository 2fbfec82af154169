#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/core_load.h"
#include "base/threads.h"

namespace wattle::inline base {

/// Threads that share out pieces of work and sleep in between (threads.h has the functions that use them).
///
/// A job is steps, each cut into parts. Every member owns a stretch of a step's parts, takes them from its
/// front and, when it is through, takes what is left from the ends of the others' stretches. Which member
/// runs a part depends on time; what a part does must not depend on who runs it. The next step begins when
/// the last part of the one before has ended. A member that is asleep or has no core holds nobody up unless
/// it has taken a part: the others do without it.
///
/// Who waits, for a step or for the next job, turns for as long as its last waits were short, then sleeps.
/// While it turns it asks for what it will read then, where the job that it worked for says what that is.
class Team {
 public:
  struct Job {
    int64_t steps, parts;  ///< parts of each step, at most kMostParts
    RunPart run;
    const void* context;
    ReadAhead next = {};  ///< of the job that will follow
  };
  static constexpr int64_t kMostParts = 0xffff;

  /// Of at most so many threads, the caller of `run` among them; made as they are needed.
  explicit Team(int most);
  /// Ends the threads. No job may be running.
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

  /// Runs the job by the calling thread and up to `members` - 1 others; more of them (and fewer) when
  /// `size_now`, asked now and then, says so. False when another thread's job is running; nothing was done
  /// then. An exception of a part ends the job with its step and leaves here: that of the first part which
  /// threw. Error when the system makes no more threads.
  template <class SizeNow>
  bool run(int members, const Job& job, const SizeNow& size_now) {
    if (!begin(members, job)) return false;
    while (take_part()) set_members(size_now());
    end();
    return true;
  }

  bool is_running() const { return busy_.load(std::memory_order_relaxed); }

  /// What the threads of the team, the calling one left out, waited for a core since the last call. By one
  /// caller at a time.
  CoreDelay new_delay();

  /// Seconds of all waits' turning so far, which is processor time without work.
  double turned() const;

  /// Longest time in nanoseconds that waiting turns; 0 where there are more threads than cores.
  void set_longest_turn(int64_t nanoseconds) { longest_turn_ = nanoseconds; }

 private:
  /// Parts begin .. end of the step `generation` that nobody has taken, in one word.
  struct Stretch {
    uint32_t generation;
    uint32_t begin, end;
    uint64_t word() const { return uint64_t{generation} << 32 | begin << 16 | end; }
    static Stretch of(uint64_t word) {
      return {static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word >> 16 & 0xffff),
              static_cast<uint32_t>(word & 0xffff)};
    }
  };

  struct alignas(64) Member {
    std::atomic<uint64_t> stretch{0};
    alignas(64) std::atomic<uint32_t> asleep{0};
    int64_t turn = 0;  ///< nanoseconds that its next wait turns at most
    ReadAhead next;    ///< of the job of its last part; nothing once it was asked for
    std::atomic<int64_t> turned{0};
    std::unique_ptr<RunQueueDelay> delay;
    std::atomic<bool> has_delay{false};
    double delay_before = 0;
    std::thread thread;
  };

  bool begin(int members, const Job& job);
  bool take_part();
  void set_members(int members);
  void end();

  void serve(int index);
  bool take(int index, uint32_t generation, int64_t& part);
  bool take_of(Member& member, uint32_t generation, bool own, int64_t& part);
  void run_part(int index, int64_t part);
  void next_step();
  void open_step(uint32_t generation);
  void publish(uint32_t generation);
  void wake(int index);
  void wait(int index, uint32_t seen);
  void make_threads(int members);

  const int most_;
  const std::unique_ptr<Member[]> members_;
  int made_ = 1;  ///< members that there are; the first is whoever calls `run`
  std::atomic<int64_t> longest_turn_;
  std::atomic<bool> busy_{false};  ///< a job is running
  std::atomic<bool> ends_{false};  ///< so does the team

  // Counts steps of all jobs; written last when one opens. The job's data is only read by who has taken a
  // part of the generation, which cannot end before that part has.
  alignas(64) std::atomic<uint32_t> generation_{0};
  std::atomic<int> active_{1};         ///< members that take parts
  std::atomic<int> stretches_{1};      ///< members that own a stretch
  std::atomic<uint32_t> finished_{0};  ///< the generation that has no step any more
  Job job_{};
  int64_t step_ = 0;
  std::mutex failing_;
  std::exception_ptr failure_;
  int64_t failed_part_ = 0;

  alignas(64) std::atomic<int64_t> done_{0};  ///< parts of the step that have ended
};

}  // namespace wattle::inline base
