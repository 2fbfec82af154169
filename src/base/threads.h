#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace wattle::inline base {

/// Threads that the one team of the process has at most, the calling one among them; default_threads() unless
/// set. `chosen_by` says who wants it, for reports. Error below 1 or above most_threads(), which is a typing
/// mistake rather than a wish.
void set_threads(int threads, std::string_view chosen_by = "as asked for");
int threads();
/// Why as many: "OMP_NUM_THREADS", "one a physical core", "the quota of .../cpu.max".
std::string threads_chosen_by();
/// 4 x the processors.
int most_threads();
/// The number that OMP_NUM_THREADS says ("4"; of "4,2" the first); 0 for a text that is none.
int threads_of_omp(std::string_view text);

/// Whether the calling thread is at work for the team, so that what it calls does not use it.
bool in_team();

/// Those that the team has now: fewer than threads() while others use its cores (TeamSize). Constant within a
/// job, may be another in the next.
int active_threads();

/// Why a team has fewer threads than it may have.
enum class Shrunk { kNo, kOthers, kStolen, kQuota };
/// As a sentence's end: "others use its cores".
std::string_view name(Shrunk why);

/// What became of the team since the process began or forget_team_report().
struct TeamReport {
  int most = 1, smallest = 1;
  int64_t shrunk = 0;         ///< times that it lost threads
  double seconds = 0;         ///< between the first and the last piece of work
  double seconds_shrunk = 0;  ///< of these, with fewer threads than it may have
  Shrunk why = Shrunk::kNo;   ///< when it last lost one
};
TeamReport team_report();
void forget_team_report();
/// "2 threads (one a physical core)", and what part of the time there were fewer and why.
std::string describe(const TeamReport& report);

/// Indices begin .. end.
struct IndexRange {
  int64_t begin = 0, end = 0;
  int64_t count() const { return end - begin; }
};

/// One of `of` nearly equal parts of a piece of work.
struct Part {
  int64_t index = 0, of = 1;

  IndexRange range(int64_t count) const { return {count * index / of, count * (index + 1) / of}; }
};

using RunPart = void (*)(const void* context, int64_t step, int64_t part);

/// Memory that the job after this one reads, in units which its threads share out as they do parts. Who waits
/// for that job asks for the beginning of its share meanwhile, so that memory does not stand still between
/// two products. No more than a hint: nothing is read, and the memory need not be there any more.
struct ReadAhead {
  const std::byte* at = nullptr;  ///< null: nothing is known
  int64_t unit_bytes = 0, units = 0;
};

/// Runs every part of every step by the team: the parts of a step in any order, by whoever is free, beginning
/// with a stretch of neighbours for each thread. On the calling thread alone, in order, where the team is at
/// work already. An exception ends the job with its step and leaves here: that of the first part that threw.
void run_by_team(int64_t steps, int64_t parts, RunPart run, const void* context, const ReadAhead& next = {});

/// Calls f(part) for every part: see run_by_team.
template <class F>
void for_each_part(int64_t parts, const F& f, const ReadAhead& next = {}) {
  run_by_team(
      1, parts, [](const void* of, int64_t, int64_t part) { (*static_cast<const F*>(of))(part); }, &f, next);
}

/// Parts for each thread of work that divides at will: what one thread is late with, another takes.
inline constexpr int64_t kPartsOfThread = 4;

/// Calls f(IndexRange) for ranges that make up 0 .. count: by the team where `by_team` says that this is
/// worth waking it, for the whole on the calling thread otherwise and wherever a team is at work already.
template <class F>
void for_each_range(int64_t count, bool by_team, const F& f) {
  const int64_t threads = by_team && count > 1 && !in_team() ? active_threads() : 1;
  if (threads == 1) {
    if (count > 0) f(IndexRange{0, count});
    return;
  }
  const int64_t parts = std::min(count, kPartsOfThread * threads);
  for_each_part(parts, [&](int64_t part) { f(Part{part, parts}.range(count)); });
}

/// Calls f(i) for every i below `count`, as for_each_range.
template <class F>
void for_each_index(int64_t count, bool by_team, const F& f) {
  for_each_range(count, by_team, [&](IndexRange range) {
    for (int64_t i = range.begin; i < range.end; ++i) f(i);
  });
}

/// Calls step(number, Part) for every number below `count` in turn. By the team: for every part of each step,
/// all waiting for each other between steps; what is divided within a step is then done by the calling thread
/// alone. Otherwise once, with the whole, and what a step calls may use the team. An exception of any thread
/// ends the steps and leaves here.
template <class Step>
void in_numbered_steps(bool by_team, int64_t count, const Step& step) {
  const int64_t parts = by_team && !in_team() ? active_threads() : 1;
  if (parts == 1) {
    for (int64_t number = 0; number < count; ++number) step(number, Part{});
    return;
  }
  struct Context {
    const Step& step;
    int64_t parts;
  } const context{step, parts};
  run_by_team(
      count, parts,
      [](const void* of, int64_t number, int64_t part) {
        const auto& its = *static_cast<const Context*>(of);
        its.step(number, Part{part, its.parts});
      },
      &context);
}

}  // namespace wattle::inline base
