#include "base/team.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include <wattle/error.h>

namespace wattle::inline base {
namespace {

/// Bounds of the time that waiting turns, in nanoseconds. To sleep and to be woken takes a virtual machine 50
/// us and more; what lies between the products of a token takes 5 to 30.
constexpr int64_t kShortestTurn = 4'000;

thread_local bool at_work = false;

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__) || (defined(__ARM_ARCH) && __ARM_ARCH >= 7)
  __asm__ volatile("yield");
#endif
}

/// Asks for the beginning of a share, a few lines at a time.
class Asking {
 public:
  Asking(const ReadAhead& next, int member, int members) {
    if (next.at == nullptr || member >= members) return;
    const int64_t first = next.units * member / members, end = next.units * (member + 1) / members;
    at_ = reinterpret_cast<uintptr_t>(next.at) + static_cast<uintptr_t>(first * next.unit_bytes);
    lines_ = std::min((end - first) * next.unit_bytes, kBytes) / kLine;
  }

  /// False when there is no more to ask for.
  bool ask() {
    if (lines_ <= 0) return false;
    for (int i = 0; i < 4; ++i, at_ += kLine) {
      __builtin_prefetch(reinterpret_cast<const void*>(at_), 0, 2);  // into the second-level cache
    }
    lines_ -= 4;
    return true;
  }

 private:
  static constexpr int64_t kLine = 64, kBytes = 64 << 10;
  uintptr_t at_ = 0;
  int64_t lines_ = 0;
};

/// Turns until `changed` or for so many nanoseconds since `start`; adds the time to `turned`.
template <class Changed>
bool turn_until(const Changed& changed, Asking asking, int64_t start, int64_t nanoseconds,
                std::atomic<int64_t>& turned) {
  bool came = false;
  int64_t time = start;
  do {
    for (int i = 0; i < 8 && !came; ++i) {
      came = changed();
      if (!came && !asking.ask()) pause();
    }
    time = now();
  } while (!came && time - start < nanoseconds);
  turned.store(turned.load(std::memory_order_relaxed) + time - start, std::memory_order_relaxed);
  return came;
}

}  // namespace

bool in_team() {
  return at_work;
}

Team::Team(int most)
    : most_(most), members_(std::make_unique<Member[]>(static_cast<size_t>(most))), longest_turn_(100'000) {
  for (int i = 0; i < most; ++i) members_[static_cast<size_t>(i)].turn = longest_turn_;
}

Team::~Team() {
  ends_ = true;
  publish(generation_ + 1);
  for (int i = 1; i < made_; ++i) wake(i);
  for (int i = 1; i < made_; ++i) members_[static_cast<size_t>(i)].thread.join();
}

void Team::make_threads(int members) {
  for (; made_ < members; ++made_) {
    members_[static_cast<size_t>(made_)].thread = std::thread([this, index = made_] { serve(index); });
  }
}

void Team::serve(int index) {
  at_work = true;
  Member& mine = members_[static_cast<size_t>(index)];
  mine.delay = std::make_unique<RunQueueDelay>();
  mine.has_delay.store(true, std::memory_order_release);
  while (!ends_) {
    const uint32_t generation = generation_.load(std::memory_order_acquire);
    int64_t part = 0;
    while (take(index, generation, part)) run_part(index, part);
    wait(index, generation);
  }
}

double Team::turned() const {
  int64_t sum = 0;
  for (int i = 0; i < most_; ++i)
    sum += members_[static_cast<size_t>(i)].turned.load(std::memory_order_relaxed);
  return 1e-9 * static_cast<double>(sum);
}

CoreDelay Team::new_delay() {
  CoreDelay delay;
  for (int i = 1; i < most_; ++i) {
    Member& member = members_[static_cast<size_t>(i)];
    if (!member.has_delay.load(std::memory_order_acquire)) break;
    const double until = member.delay->seconds().value_or(0);
    const double waited = until - std::exchange(member.delay_before, until);
    delay.sum += waited, delay.largest = std::max(delay.largest, waited);
  }
  return delay;
}

bool Team::begin(int members, const Job& job) {
  if (busy_.exchange(true, std::memory_order_acquire)) return false;
  members = std::clamp(members, 1, most_);
  try {
    make_threads(members);
  } catch (const std::system_error& error) {
    busy_.store(false, std::memory_order_release);
    fail("a team of {} threads: the system makes no more than {} ({}); ask for fewer", members, made_,
         error.what());
  }
  at_work = true;
  job_ = job;
  step_ = 0;
  failure_ = nullptr;
  active_.store(members, std::memory_order_relaxed);
  stretches_.store(static_cast<int>(std::min<int64_t>(members, job.parts)), std::memory_order_relaxed);
  open_step(generation_.load(std::memory_order_relaxed) + 1);
  return true;
}

/// Cuts the step's parts into stretches, lets everybody see them and wakes who owns one.
void Team::open_step(uint32_t generation) {
  const int stretches = stretches_.load(std::memory_order_relaxed);
  done_.store(0, std::memory_order_relaxed);
  for (int i = 0; i < stretches; ++i) {
    const Stretch stretch{generation, static_cast<uint32_t>(job_.parts * i / stretches),
                          static_cast<uint32_t>(job_.parts * (i + 1) / stretches)};
    members_[static_cast<size_t>(i)].stretch.store(stretch.word(), std::memory_order_release);
  }
  publish(generation);
  for (int i = 0; i < stretches; ++i) wake(i);
}

// Sequentially consistent, as `asleep` is: either a member that goes to sleep sees the new generation, or who
// publishes it sees that member asleep.
void Team::publish(uint32_t generation) {
  generation_.store(generation, std::memory_order_seq_cst);
}

void Team::wake(int index) {
  std::atomic<uint32_t>& asleep = members_[static_cast<size_t>(index)].asleep;
  if (asleep.load(std::memory_order_seq_cst) == 0) return;
  if (asleep.exchange(0, std::memory_order_seq_cst) != 0) asleep.notify_one();
}

bool Team::take_of(Member& member, uint32_t generation, bool own, int64_t& part) {
  uint64_t held = member.stretch.load(std::memory_order_acquire);
  for (;;) {
    Stretch left = Stretch::of(held);
    if (left.generation != generation || left.begin == left.end) return false;
    part = own ? left.begin++ : --left.end;
    if (member.stretch.compare_exchange_weak(held, left.word(), std::memory_order_acq_rel,
                                             std::memory_order_acquire)) {
      return true;
    }
  }
}

/// A part of the generation for a member: of its own, or of the others beginning with the one after it.
bool Team::take(int index, uint32_t generation, int64_t& part) {
  if (index >= active_.load(std::memory_order_relaxed)) return false;
  const int stretches = stretches_.load(std::memory_order_relaxed);
  if (index < stretches && take_of(members_[static_cast<size_t>(index)], generation, true, part)) return true;
  for (int i = 1; i <= stretches; ++i) {
    const int other = (index + i) % stretches;
    if (other != index && take_of(members_[static_cast<size_t>(other)], generation, false, part)) return true;
  }
  return false;
}

void Team::run_part(int index, int64_t part) {
  const int64_t parts = job_.parts;  // after this part has ended, the job may be another
  members_[static_cast<size_t>(index)].next = job_.next;
  try {
    job_.run(job_.context, step_, part);
  } catch (...) {
    const std::lock_guard lock(failing_);
    if (failure_ == nullptr || part < failed_part_) failure_ = std::current_exception(), failed_part_ = part;
  }
  if (done_.fetch_add(1, std::memory_order_acq_rel) + 1 == parts) next_step();
}

/// By who ended the last part of a step.
void Team::next_step() {
  const uint32_t next = generation_.load(std::memory_order_relaxed) + 1;
  if (failure_ == nullptr && ++step_ < job_.steps) return open_step(next);
  finished_.store(next, std::memory_order_relaxed);
  publish(next);
  wake(0);
}

/// Runs a part of the job, or waits for the next step. False when the job is finished.
bool Team::take_part() {
  const uint32_t generation = generation_.load(std::memory_order_acquire);
  if (finished_.load(std::memory_order_relaxed) == generation) return false;
  int64_t part = 0;
  if (take(0, generation, part)) {
    run_part(0, part);
  } else {
    wait(0, generation);
  }
  return true;
}

void Team::set_members(int members) {
  members = std::clamp(members, 1, made_);
  const int before = active_.load(std::memory_order_relaxed);
  if (members == before) return;
  active_.store(members, std::memory_order_seq_cst);
  for (int i = before; i < members; ++i) wake(i);
}

void Team::end() {
  at_work = false;
  const std::exception_ptr failure = std::exchange(failure_, nullptr);
  busy_.store(false, std::memory_order_release);
  if (failure) std::rethrow_exception(failure);
}

/// Until there is another generation than `seen`, or somebody wakes the member.
void Team::wait(int index, uint32_t seen) {
  Member& mine = members_[static_cast<size_t>(index)];
  const auto changed = [&] { return generation_.load(std::memory_order_acquire) != seen; };
  const int64_t longest = longest_turn_.load(std::memory_order_relaxed);
  const int active = active_.load(std::memory_order_relaxed);
  const int64_t turn = index < active ? std::min(mine.turn, longest) : 0, start = now();
  const Asking asking(turn > 0 ? std::exchange(mine.next, {}) : ReadAhead{}, index, active);
  const bool came = turn_until(changed, asking, start, turn, mine.turned);
  if (came) {
    mine.turn = std::min(longest, mine.turn + mine.turn / 8);
    return;
  }
  mine.asleep.store(1, std::memory_order_seq_cst);
  if (generation_.load(std::memory_order_seq_cst) != seen || ends_) {
    mine.asleep.store(0, std::memory_order_relaxed);
    return;
  }
  mine.asleep.wait(1, std::memory_order_acquire);
  // Where turning a little longer would have done, it does so the next time.
  const int64_t waited = now() - start;
  if (waited < longest) {
    mine.turn = std::min(longest, 2 * mine.turn);
  } else {
    mine.turn = std::max(kShortestTurn, mine.turn - mine.turn / 4);
  }
}

}  // namespace wattle::inline base
