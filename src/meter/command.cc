#include "meter/command.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>

#include <fmt/format.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "meter/helper_process.h"
#include "statistics/intervals.h"

namespace wattle {
namespace {

constexpr int kMostRepetitions = 100000;
constexpr double kResolution = 0.01;

/// The child's side of a start: arguments in place of this program. An error goes back through `report`.
[[noreturn]] void become(const std::vector<std::string>& arguments, bool quiet, int report) {
  if (quiet) {
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
  }
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) pointers.push_back(const_cast<char*>(argument.c_str()));
  pointers.push_back(nullptr);
  ::execvp(pointers[0], pointers.data());
  const int code = errno;
  [[maybe_unused]] const ssize_t sent = ::write(report, &code, sizeof code);
  ::_exit(127);
}

pid_t start(const Command& command, bool quiet) {
  std::vector<std::string> arguments = command.arguments;
  if (command.shell) arguments = {"/bin/sh", "-c", command.arguments.front()};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("{}: cannot be started ({})", command.text(), std::strerror(errno));
  const pid_t child = ::fork();
  if (child == 0) become(arguments, quiet, ends[1]);
  ::close(ends[1]);
  int code = child < 0 ? errno : 0;
  if (child > 0 && ::read(ends[0], &code, sizeof code) == sizeof code) {
    ::waitpid(child, nullptr, 0);
  } else if (child > 0) {
    code = 0;
  }
  ::close(ends[0]);
  if (code != 0) {
    fail("{}: cannot be started ({}); check the name and that it is executable", command.text(),
         std::strerror(code));
  }
  return child;
}

double busy_of(const rusage& usage) {
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

struct Ended {
  int status = 0;
  double busy_seconds = 0;
};

Ended wait_for(pid_t child) {
  int status = 0;
  rusage usage{};
  pid_t ended = -1;
  while ((ended = ::wait4(child, &status, 0, &usage)) < 0 && errno == EINTR) {
  }
  if (interrupted()) throw_if_interrupted();
  return {status, busy_of(usage)};
}

/// Grandchildren whose parent ended come to this process, which is their reaper; those that ended are taken
/// in. Returns whether some still run.
bool processes_left_behind(double& busy_seconds) {
  while (true) {
    const Reaped reaped = reap_other_child(busy_seconds);
    if (reaped != Reaped::kOne) return reaped == Reaped::kRunning;
  }
}

std::string describe(int status, bool left_behind) {
  if (WIFSIGNALED(status)) {
    return fmt::format("was killed by signal {} ({})", WTERMSIG(status), ::strsignal(WTERMSIG(status)));
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
    return fmt::format("ended with exit status {}", WEXITSTATUS(status));
  if (left_behind)
    return "left processes running in the background; their energy after its end is not in the figure";
  return "";
}

}  // namespace

std::string Command::text() const {
  std::string joined;
  for (const std::string& argument : arguments) joined += (joined.empty() ? "" : " ") + argument;
  return joined;
}

CommandRun run_command(MachineMeter& meter, const Command& command, bool quiet, int repetitions) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  CommandRun run;
  run.repetitions = repetitions;
  bool left_behind = false;
  run.begin = meter.machine().now();
  const auto begin = meter.begin();
  for (int i = 0; i < repetitions && run.problem.empty(); ++i) {
    const Ended ended = wait_for(start(command, quiet));
    run.busy_seconds += ended.busy_seconds;
    run.status = ended.status;
    run.repetitions = i + 1;
    run.problem = describe(ended.status, false);
  }
  left_behind = processes_left_behind(run.busy_seconds);
  run.end = meter.machine().now();
  run.energy = scaled(meter.end_foreign(begin, run.busy_seconds, Settle::kLoadEnded), 1.0 / run.repetitions);
  run.busy_seconds /= run.repetitions;
  if (run.problem.empty()) run.problem = describe(run.status, left_behind);
  return run;
}

int repetitions_after(const MachineMeter& meter, const CommandRun& run) {
  const int most = std::min(kMostRepetitions, meter.repetitions(run.energy.seconds));
  if (most <= run.repetitions) return run.repetitions;
  const double open = run.energy.joules > 0 ? run.energy.resolution / run.energy.joules : 1;
  if (open <= kResolution) return run.repetitions;
  return std::min(
      most, std::max(run.repetitions + 1, static_cast<int>(std::ceil(run.repetitions * open / kResolution))));
}

void run_unmeasured(const Command& command, bool quiet, const std::string& flag) {
  const Ended ended = wait_for(start(command, quiet));
  const std::string problem = describe(ended.status, false);
  if (!problem.empty()) fail("{} {}: {}; mend the command or leave it out", flag, command.text(), problem);
}

namespace {

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

/// One line for what a run did wrong; Error where it failed and failures are not taken.
void note_problem(const CommandRun& run, const MeasureOptions& options, Measurement& result) {
  if (run.problem.empty()) return;
  const std::string line = fmt::format("{}: {}", result.command.text(), run.problem);
  if (run.status != 0 && !options.ignore_failure) {
    fail("{} after {:.3f} s and {:.4g} J; give --ignore-failure to take the figure all the same", line,
         run.energy.seconds, run.energy.joules);
  }
  if (result.warnings.empty()) result.warnings.push_back(line);
}

/// Runs until a window is fine enough or the options are satisfied.
void run_all(MachineMeter& meter, const MeasureOptions& options, Measurement& result) {
  const int wanted = options.until_ci > 0 ? options.most_runs : std::max(1, options.runs);
  int repetitions = 1;
  std::vector<double> joules;
  while (static_cast<int>(joules.size()) < wanted) {
    if (!options.prepare.empty()) run_unmeasured({{options.prepare}, true}, true, "--prepare");
    CommandRun run = run_command(meter, result.command, options.quiet, repetitions);
    note_problem(run, options, result);
    // Decided by the first run: all of a command are repeated alike.
    const int needed = run.problem.empty() && joules.empty() ? repetitions_after(meter, run) : repetitions;
    if (needed > repetitions && options.prepare.empty()) {
      if (options.announce) options.announce(why_repeated(result.command, run, needed));
      repetitions = needed;
      continue;
    }
    if (needed > repetitions) {
      result.warnings.push_back(fmt::format(
          "{}: one run is less than 20 steps of the counter, which leaves {:.2g} % of its joules open; "
          "without "
          "--prepare it would be repeated in one window",
          result.command.text(), 100 * run.energy.resolution / std::max(run.energy.joules, 1e-30)));
    }
    if (!run.energy.invalid.empty()) result.warnings.push_back("invalid window: " + run.energy.invalid);
    joules.push_back(run.energy.joules);
    result.runs.push_back(std::move(run));
    const Interval mean = student_interval(joules);
    if (options.until_ci > 0 && mean.half() <= options.until_ci * mean.value) break;
  }
}

}  // namespace

Measurement measure_command(MachineMeter& meter, const Command& command, const MeasureOptions& options) {
  Measurement result;
  result.command = command;
  for (int i = 0; i < options.warmup; ++i) run_unmeasured(command, true, "--warmup");
  run_all(meter, options, result);
  std::vector<double> joules;
  std::vector<Energy> windows;
  for (const CommandRun& run : result.runs)
    windows.push_back(run.energy), joules.push_back(run.energy.joules);
  const Interval mean = student_interval(joules);
  result.spread_half = mean.half();
  result.energy = mean_energy(windows);
  if (mean.bounded()) result.energy = with_spread(result.energy, mean.half(), mean.half());
  if (options.until_ci > 0 && !(mean.half() <= options.until_ci * mean.value)) {
    result.warnings.push_back(
        fmt::format("the interval is {:.1f} % after {} runs, wider than --until-ci asks",
                    100 * mean.half() / mean.value, joules.size()));
  }
  return result;
}

}  // namespace wattle
