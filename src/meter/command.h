#pragma once

#include <functional>
#include <string>
#include <vector>

#include "meter/machine_meter.h"

namespace wattle {

/// A program to be measured: an argument vector, or one line for the shell.
struct Command {
  std::vector<std::string> arguments;
  bool shell = false;
  std::string text() const;
};

/// What became of one run.
struct CommandRun {
  Energy energy;              ///< of one execution (a window over several is divided)
  double busy_seconds = 0;    ///< processor time of the command and its children
  double begin = 0, end = 0;  ///< of the window, on the machine's clock
  int repetitions = 1;        ///< executions in the window
  int status = 0;
  std::string problem;  ///< empty, or one line: exit status, signal, processes left behind
};

/// Runs `command` once or `repetitions` times in one window. Error when it cannot be started. `quiet` sends
/// its output to nowhere.
CommandRun run_command(MachineMeter& meter, const Command& command, bool quiet, int repetitions);

/// Executions that the next window needs: as many as in this one, or more where one is short for its counter
/// (under 20 steps) and the edges and steps of this window leave more than 1 % of its joules open. They weigh
/// the less the longer a window is, and a window of 100 steps is enough in any case.
int repetitions_after(const MachineMeter& meter, const CommandRun& run);

/// Runs a shell line that is not measured (--prepare, --warmup); Error when it fails.
void run_unmeasured(const Command& command, bool quiet, const std::string& flag);

struct MeasureOptions {
  int warmup = 0;
  int runs = 0;  ///< 0: one for a single command, five for several
  double until_ci =
      0;  ///< stop when the 95 % interval of the mean is within this share; 0: fixed number of runs
  std::string prepare;      ///< shell line before each run, not measured
  double idle_seconds = 1;  ///< idle is measured for so long before and after; 0: not at all
  bool quiet = false;
  bool ignore_failure = false;
  int most_runs = 100;
  /// Hears, before they run, how often a command that is short for its counter will be repeated, and why.
  std::function<void(const std::string&)> announce;
};

/// All runs of one command, with their sum-up.
struct Measurement {
  Command command;
  std::vector<CommandRun> runs;
  Energy energy;           ///< mean of a run; its interval joins the spread of runs and the instrument
  double spread_half = 0;  ///< half-width from the runs alone; NaN with fewer than three
  std::vector<std::string> warnings;
};
Measurement measure_command(MachineMeter& meter, const Command& command, const MeasureOptions& options);

}  // namespace wattle
