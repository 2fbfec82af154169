#include "meter/command.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <wattle/error.h>

#include "meter/error_draw.h"
#include "statistics/intervals.h"
#include "statistics/random.h"

namespace wattle::inline meter {
namespace {

constexpr int kMostRepetitions = 100000;
constexpr double kResolution = 0.01;
/// A window that was shorter than a refresh is to have so many.
constexpr double kRefreshes = 3;

std::string describe(int status) {
  if (status > 128)
    return fmt::format("was killed by signal {} ({})", status - 128, ::strsignal(status - 128));
  return status == 0 ? "" : fmt::format("ended with exit status {}", status);
}

std::string describe(const Descendants& left) {
  if (left.running.empty()) return "";
  const auto& first = left.running.front();
  return fmt::format(
      "left {} running in the background ({} {}{}); {} energy is in the figure until the command's end, and "
      "not "
      "after it",
      left.running.size() == 1 ? "a process" : fmt::format("{} processes", left.running.size()), first.name,
      first.pid, left.running.size() > 1 ? ", ..." : "", left.running.size() == 1 ? "its" : "their");
}

}  // namespace

CommandRun run_command(MachineMeter& meter, const Command& command, const Streams& streams, int repetitions) {
  CommandRun run;
  // Processes that earlier runs left behind work on in this window, but not for this command.
  take_in_ended();
  const double before = descendants().busy_seconds;
  run.begin = meter.machine().now();
  const auto begin = meter.begin();
  for (int i = 0; i < repetitions && run.status == 0; ++i) {
    const Ended ended = run_to_end(command, streams);
    run.busy_seconds += ended.busy_seconds;
    run.status = exit_status_of(ended.status);
    run.repetitions = i + 1;
  }
  run.end = meter.machine().now();
  Descendants left;
  // What outlived the command has worked until here too.
  const auto busy_seconds = [&] {
    run.busy_seconds += take_in_ended();
    left = descendants();
    run.busy_seconds = std::max(0.0, run.busy_seconds + left.busy_seconds - before);
    return run.busy_seconds;
  };
  run.energy = scaled(meter.end_foreign(begin, busy_seconds, Settle::kLoadEnded), 1.0 / run.repetitions);
  run.busy_seconds /= run.repetitions;
  run.problem = describe(run.status);
  if (run.problem.empty()) run.problem = describe(left);
  return run;
}

int repetitions_after(const MachineMeter& meter, const CommandRun& run) {
  const int most = std::min(kMostRepetitions, meter.repetitions(run.energy.seconds));
  if (most <= run.repetitions) return run.repetitions;
  if (!run.energy.invalid.empty()) {
    // Longer than a refresh it is invalid for another reason, which no repetition mends.
    const double refresh = meter.slowest_refresh(), seconds = run.energy.seconds;
    if (seconds * run.repetitions >= refresh) return run.repetitions;
    return std::min(most, static_cast<int>(std::ceil(kRefreshes * refresh / seconds)));
  }
  const double open = run.energy.joules > 0 ? run.energy.resolution / run.energy.joules : 1;
  if (open <= kResolution) return run.repetitions;
  return std::min(
      most, std::max(run.repetitions + 1, static_cast<int>(std::ceil(run.repetitions * open / kResolution))));
}

namespace {

/// Runs a shell line or a command that is not measured (--prepare, --warmup); Error when it fails.
void run_unmeasured(const Command& command, Streams streams, const std::string& what) {
  streams.quiet = true;
  const std::string problem = describe(exit_status_of(run_to_end(command, streams).status));
  if (!problem.empty()) fail("{} {}: {}; mend the command or leave it out", what, command.text(), problem);
}

std::string why_repeated(const Command& command, const CommandRun& run, int repetitions) {
  return fmt::format(
      "{} takes {:.3g} s, less than 20 steps of the counter: {} run{} in a window leave{} {:.2g} % of the "
      "joules "
      "open; {} runs in each window, {:.3g} s, are to bring that under 1 %",
      command.text(), run.energy.seconds, run.repetitions, run.repetitions == 1 ? "" : "s",
      run.repetitions == 1 ? "s" : "",
      run.energy.joules > 0 ? 100 * run.energy.resolution / run.energy.joules : 100, repetitions,
      repetitions * run.energy.seconds);
}

/// A round of runs of all commands.
class Rounds {
 public:
  Rounds(MachineMeter& meter, std::span<const Command> commands, const MeasureOptions& options)
      : meter_(meter), options_(options), repetitions_(commands.size(), 1), random_(options.seed) {
    for (const Command& command : commands) results_.emplace_back().command = command;
    for (size_t i = 0; i < commands.size(); ++i) order_.push_back(i);
  }

  /// False when the measurement ends here.
  bool run(int round) {
    if (round % 2 == 0) {
      for (size_t i = order_.size(); i > 1; --i)
        std::swap(order_[i - 1], order_[static_cast<size_t>(random_.below(static_cast<int64_t>(i)))]);
    } else {
      std::reverse(order_.begin(), order_.end());
    }
    for (const size_t command : order_) {
      if (options_.stop && options_.stop()) return false;
      if (!run_one(command, round)) return false;
    }
    return true;
  }

  bool narrow_enough() const {
    return std::all_of(results_.begin(), results_.end(), [&](const Measurement& result) {
      const Interval mean = student_interval(joules_of(result));
      return mean.bounded() && mean.half() <= options_.until_ci * mean.value;
    });
  }

  std::vector<Measurement> take() { return std::move(results_); }

  static std::vector<double> joules_of(const Measurement& result) {
    std::vector<double> joules;
    for (const CommandRun& run : result.runs) joules.push_back(run.energy.joules);
    return joules;
  }

 private:
  CommandRun execute(const Command& command, int repetitions) {
    if (!options_.prepare.empty()) run_unmeasured({{options_.prepare}, true}, {}, "--prepare");
    return options_.run ? options_.run(command, repetitions)
                        : run_command(meter_, command, options_.streams, repetitions);
  }

  bool run_one(size_t index, int round) {
    Measurement& result = results_[index];
    CommandRun run = execute(result.command, repetitions_[index]);
    // Decided by the first run: all of a command are repeated alike.
    if (result.runs.empty() && run.status == 0) {
      const int needed = repetitions_after(meter_, run);
      const bool stopped = options_.stop && options_.stop();
      if (needed > repetitions_[index] && options_.may_repeat && options_.prepare.empty() && !stopped) {
        if (options_.announce) options_.announce(why_repeated(result.command, run, needed));
        repetitions_[index] = needed;
        return run_one(index, round);
      }
      if (needed > repetitions_[index]) {
        result.warnings.push_back(fmt::format(
            "{}: one run is less than 20 steps of the counter, which leaves {:.2g} % of its joules open; "
            "without "
            "{} it would be repeated in one window",
            result.command.text(), 100 * run.energy.resolution / std::max(run.energy.joules, 1e-30),
            options_.prepare.empty() ? "a pipe as its standard input" : "--prepare"));
      }
    }
    if (!run.problem.empty() && result.warnings.empty() && (run.status == 0 || options_.ignore_failure))
      result.warnings.push_back(fmt::format("{}: {}", result.command.text(), run.problem));
    if (!run.energy.invalid.empty()) result.warnings.push_back("invalid window: " + run.energy.invalid);
    run.round = round;
    const bool failed = run.status != 0 && !options_.ignore_failure;
    if (failed) result.status = run.status;
    result.runs.push_back(std::move(run));
    return !failed;
  }

  MachineMeter& meter_;
  const MeasureOptions& options_;
  std::vector<Measurement> results_;
  std::vector<int> repetitions_;
  std::vector<size_t> order_;
  Random random_;
};

void sum_up(Measurement& result, const MeasureOptions& options) {
  const std::vector<double> joules = Rounds::joules_of(result);
  std::vector<Energy> windows;
  for (const CommandRun& run : result.runs) windows.push_back(run.energy);
  const Interval mean = student_interval(joules);
  result.spread_half = mean.half();
  result.energy = mean_energy(windows);
  if (mean.bounded()) result.energy = with_spread(result.energy, mean.half(), mean.half());
  if (options.until_ci > 0 && !(mean.half() <= options.until_ci * mean.value)) {
    result.warnings.push_back(
        fmt::format("the interval is {:.1f} % after {} runs, wider than --until-ci asks",
                    100 * mean.half() / mean.value, joules.size()));
  }
}

/// The energies of the rounds in which both commands ran.
std::pair<std::vector<Energy>, std::vector<Energy>> paired(const Measurement& a, const Measurement& b) {
  std::pair<std::vector<Energy>, std::vector<Energy>> values;
  for (const CommandRun& of_a : a.runs) {
    for (const CommandRun& of_b : b.runs) {
      if (of_a.round != of_b.round) continue;
      values.first.push_back(of_a.energy);
      values.second.push_back(of_b.energy);
    }
  }
  return values;
}

}  // namespace

std::vector<Measurement> measure_commands(MachineMeter& meter, std::span<const Command> commands,
                                          const MeasureOptions& options) {
  for (const Command& command : commands) {
    for (int i = 0; i < options.warmup; ++i) run_unmeasured(command, options.streams, "--warmup");
  }
  Rounds rounds(meter, commands, options);
  const int wanted = options.until_ci > 0 ? options.most_runs : std::max(1, options.runs);
  for (int round = 0; round < wanted && rounds.run(round); ++round) {
    if (options.until_ci > 0 && rounds.narrow_enough()) break;
  }
  std::vector<Measurement> results = rounds.take();
  std::erase_if(results, [](const Measurement& result) { return result.runs.empty(); });
  for (Measurement& result : results) sum_up(result, options);
  return results;
}

std::vector<Comparison> compare(std::span<const Measurement> measurements) {
  std::vector<Comparison> comparisons;
  if (measurements.size() < 2) return comparisons;
  size_t least = 0;
  for (size_t i = 1; i < measurements.size(); ++i) {
    if (measurements[i].energy.joules < measurements[least].energy.joules) least = i;
  }
  std::vector<Comparison> all;
  std::vector<double> p;
  for (size_t a = 0; a < measurements.size(); ++a) {
    for (size_t b = 0; b < a; ++b) {
      Comparison comparison{a, b};
      if (a == least) std::swap(comparison.command, comparison.least);
      const Measurement &of = measurements[comparison.command], &by = measurements[comparison.least];
      comparison.invalid = of.energy.invalid.empty() ? by.energy.invalid : of.energy.invalid;
      const auto [energies, others] = paired(of, by);
      if (energies.empty()) {
        comparison.invalid = "they never ran in the same round";
        comparison.ratio.p = NAN;
      } else {
        comparison.ratio = energy_ratio(energies, others, true);
      }
      p.push_back(comparison.ratio.p);
      all.push_back(std::move(comparison));
    }
  }
  const std::vector<double> corrected = holm(p);
  for (size_t i = 0; i < all.size(); ++i) {
    all[i].ratio.p = corrected[i];
    if (all[i].least == least) comparisons.push_back(std::move(all[i]));
  }
  std::sort(comparisons.begin(), comparisons.end(),
            [](const Comparison& a, const Comparison& b) { return a.command < b.command; });
  return comparisons;
}

}  // namespace wattle::inline meter
