#pragma once

#include <omp.h>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <vector>

namespace wattle::inline base {

/// Size of the one OpenMP team, for the whole process (`--threads`; default: physical cores). Error below 1
/// or above 4 x the processors, which is a typing mistake rather than a wish.
void set_threads(int threads);
int threads();

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

/// Calls f(i) for every i below `count`: by the team where `by_team` says that this is worth waking it, on
/// the calling thread otherwise and wherever a team is at work already.
template <class F>
void for_each_index(int64_t count, bool by_team, const F& f) {
  if (!by_team || omp_in_parallel() != 0) {
    for (int64_t i = 0; i < count; ++i) f(i);
    return;
  }
#pragma omp parallel for schedule(static) num_threads(threads())
  for (int64_t i = 0; i < count; ++i) f(i);
}

/// Calls step(number, Part) for every number below `count` in turn. By the team: every thread with its part,
/// all waiting for each other between steps; what is divided within a step is then done by the calling thread
/// alone. Otherwise once, with the whole, and what a step calls may use the team. An exception of any thread
/// ends the steps and leaves here.
template <class Step>
void in_numbered_steps(bool by_team, int64_t count, const Step& step) {
  if (!by_team || threads() == 1 || omp_in_parallel() != 0) {
    for (int64_t number = 0; number < count; ++number) step(number, Part{});
    return;
  }
  std::vector<std::exception_ptr> failures(static_cast<size_t>(count));
#pragma omp parallel num_threads(threads())
  {
    const Part part{omp_get_thread_num(), omp_get_num_threads()};
    for (int64_t number = 0; number < count; ++number) {
      if (number > 0) {
#pragma omp barrier
        // Nobody writes to an earlier step's failure any more, so all threads stop at the same step.
        if (failures[static_cast<size_t>(number - 1)] != nullptr) break;
      }
      try {
        step(number, part);
      } catch (...) {
#pragma omp critical(wattle_step_failure)
        failures[static_cast<size_t>(number)] = std::current_exception();
      }
    }
  }
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
}

}  // namespace wattle::inline base
