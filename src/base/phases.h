#pragma once

#include <array>
#include <span>
#include <vector>

#include "base/work.h"

namespace wattle::inline base {

/// The parts of an answer: text to tokens; the prompt or the encoder's input through the model; tokens after
/// it, one by one; the answer from what the model gave.
enum class Phase { kTokenize, kPrefill, kDecode, kPost };
inline constexpr std::array kPhases = {Phase::kTokenize, Phase::kPrefill, Phase::kDecode, Phase::kPost};

/// Seconds by phase of one row or batch.
struct Phases {
  double tokenize = 0, prefill = 0, decode = 0, post = 0;

  double of(Phase phase) const {
    return std::array{tokenize, prefill, decode, post}[static_cast<size_t>(phase)];
  }
  double sum() const { return tokenize + prefill + decode + post; }
};

/// A stretch of this process's time in one phase of a batch, and what was done in it.
struct Stretch {
  Phase phase = Phase::kTokenize;
  double begin = 0;  ///< on the steady clock, in seconds
  double seconds = 0;
  double busy_seconds = 0;  ///< processor time of all threads
  Work work;
};

/// The stretches of a batch, one after another.
class StretchLog {
 public:
  /// Reading two clocks a stretch costs more than some answers do; while not active, nothing is kept and all
  /// seconds are 0.
  void set_active(bool active);
  /// Forgets what was and begins.
  void restart();
  /// The time since the last call is a stretch of `phase`; one that goes on in the phase of the stretch
  /// before it is added to that. Returns its seconds.
  double end(Phase phase, const Work& work = {});
  /// The same for a batch of one stretch that one thread works at: its time is processor time, so that only
  /// one clock is read, in some 20 ns instead of some 300.
  void restart_single();
  double end_single(Phase phase, const Work& work);
  std::span<const Stretch> stretches() const { return stretches_; }

 private:
  bool active_ = true;
  double begin_ = 0, busy_ = 0;
  std::vector<Stretch> stretches_;
};

}  // namespace wattle::inline base
