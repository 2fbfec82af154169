#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "meter/machine_meter.h"
#include "meter/processes.h"
#include "statistics/comparisons.h"

namespace wattle::inline meter {

/// What became of one run.
struct CommandRun {
  Energy energy;              ///< of one execution (a window over several is divided)
  double busy_seconds = 0;    ///< processor time of the command and its descendants until the window's end
  double begin = 0, end = 0;  ///< of the window, on the machine's clock
  int repetitions = 1;        ///< executions in the window
  int status = 0;             ///< of the last execution, as a shell tells it; 128 + signal
  int round = 0;              ///< of several commands: runs of one round are paired
  std::string problem;        ///< empty, or one line: exit status, signal, processes left behind
};

/// Runs `command` once or `repetitions` times in one window. Error when it cannot be started.
CommandRun run_command(MachineMeter& meter, const Command& command, const Streams& streams, int repetitions);

/// Executions that the next window needs: as many as in this one, or more where one is short for its counter
/// (under 20 steps) and the edges and steps of this window leave more than 1 % of its joules open. They weigh
/// the less the longer a window is, and a window of 100 steps is enough in any case.
int repetitions_after(const MachineMeter& meter, const CommandRun& run);

struct MeasureOptions {
  int warmup = 0;
  int runs = 0;  ///< 0: one for a single command, five for several
  double until_ci =
      0;  ///< stop when the 95 % interval of every mean is within this share; 0: fixed number of runs
  std::string prepare;      ///< shell line before each run, not measured
  double idle_seconds = 1;  ///< idle is measured for so long before and after; 0: not at all
  Streams streams;
  bool ignore_failure = false;
  bool may_repeat = true;  ///< short commands are executed several times in a window
  int most_runs = 100;
  uint64_t seed = 1;  ///< of the order of commands within a round
  /// Hears, before they run, how often a command that is short for its counter will be repeated, and why.
  std::function<void(const std::string&)> announce;
  /// Asked before each run; true ends the measurement with what there is.
  std::function<bool()> stop;
  /// What a run is; empty: run_command(). Tests put simulated programs in its place.
  std::function<CommandRun(const Command&, int repetitions)> run;
};

/// All runs of one command, with their sum-up.
struct Measurement {
  Command command;
  std::vector<CommandRun> runs;
  Energy energy;           ///< mean of a run; its interval joins the spread of runs and the instrument
  double spread_half = 0;  ///< half-width from the runs alone; NaN with fewer than three
  int status = 0;          ///< of the run that failed, where failures are not taken
  std::vector<std::string> warnings;
};

/// Runs the commands in rounds, each once a round, in an order that is drawn anew every second round and
/// reversed in the one after it, so that a drift of the machine meets all alike. Stops after a round in which
/// one failed (unless failures are taken) or `stop` said so.
std::vector<Measurement> measure_commands(MachineMeter& meter, std::span<const Command> commands,
                                          const MeasureOptions& options);

/// A comparison of one command with the one that used least.
struct Comparison {
  size_t command = 0, least = 0;  ///< places in the measurements
  Ratio ratio;                    ///< of the joules, paired by round; `p` corrected for all pairs (Holm 1979)
  std::string invalid;            ///< why there is no verdict
};
/// Every command against the one that used least. Because the data say which one that is, p is corrected for
/// all pairs of commands.
std::vector<Comparison> compare(std::span<const Measurement> measurements);

}  // namespace wattle::inline meter
