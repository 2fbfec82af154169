#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <wattle/study.h>

#include "study/contender.h"

namespace wattle::inline study {

/// A window of questions with what was answered in its first pass.
struct AskedWindow {
  Window window;
  std::vector<Reply> replies;  ///< one a question
};

/// The measured windows of one worker process.
class Metering {
 public:
  explicit Metering(const MeterOptions& options);

  Meter& meter() { return *meter_; }
  /// Error for a contender that works in no known process of this machine when the meter is one of this
  /// machine's.
  void check_place(const Contender& who) const;

  /// Energy, conditions and peak memory of what `body` does, whose work the engine's record does not cover:
  /// reading files, training, a foreign program's start. Processor time counts.
  /// `others`: processes that work for `body` and that this one did not begin.
  Window measure(const std::string& kind, const std::function<void()>& body, std::vector<pid_t> others = {});

  /// Makes `who` answer the questions over and over until the time of the last three stretches varies by less
  /// than 3 %, or the limit. Tells it what a question takes, and returns that in seconds.
  double warm_up(Contender& who, std::span<const Question> questions, double limit_seconds);
  /// Whole passes over the questions, which `who` has prepared, for `window_seconds` at least and until the
  /// window tells enough of its energy.
  AskedWindow ask(Contender& who, std::span<const Question> questions, double window_seconds,
                  double seconds_a_question);

  /// What the machine draws with the contender loaded and the threads parked; measured once, before the first
  /// window. Nothing where the meter is a model, which knows idle by itself.
  void measure_idle();
  const std::optional<Energy>& idle() const { return idle_; }

 private:
  struct Open;
  Window close(const Open& open, const Work* work, int64_t peak_memory);
  bool fine_enough(const Open& open, const Work* work, double seconds);

  std::unique_ptr<Meter> meter_;
  std::optional<Energy> idle_;
};

}  // namespace wattle::inline study
