#include "base/threads.h"

#include <omp.h>

#include <atomic>

#include <wattle/error.h>

#include "base/cpu.h"

namespace wattle::inline base {
namespace {
std::atomic<int> team{0};
}

void set_threads(int threads) {
  const int most = 4 * omp_get_num_procs();
  if (threads < 1 || threads > most) {
    fail(
        "--threads {}: must be between 1 and {} on this machine; leave it out for one thread a physical core",
        threads, most);
  }
  team = threads;
  omp_set_num_threads(threads);
}

int threads() {
  if (team == 0) set_threads(default_threads());
  return team;
}

}  // namespace wattle::inline base
