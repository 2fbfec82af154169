#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace wattle::inline meter {

/// A program to be measured: an argument vector, or one line for the shell.
struct Command {
  std::vector<std::string> arguments;
  bool shell = false;
  std::string text() const;
};

/// What a program reads from its standard input and where its output goes.
struct Streams {
  bool quiet = false;  ///< output and errors go to nowhere
  std::string input;   ///< a file that is opened anew for each start; empty: this process's own input
  off_t input_offset = 0;
};

/// Passes SIGTERM, SIGINT and SIGHUP on to the program that runs and all its descendants while it lives, and
/// wakes run_to_end(); what the terminal sends reaches them by itself. One at a time in a process.
class SignalRelay {
 public:
  SignalRelay();
  ~SignalRelay();
  SignalRelay(const SignalRelay&) = delete;
  SignalRelay& operator=(const SignalRelay&) = delete;
  /// The last signal that came, or 0.
  static int received();
};

/// How a program ended, and the processor time of what was waited for until then: its own and that of all
/// descendants that ended.
struct Ended {
  int status = 0;  ///< as wait() tells it
  double busy_seconds = 0;
};

/// Starts `command` and waits for its end. Descendants whose parents ended come to this process, which takes
/// them in when they end (a subreaper, prctl(2)). Error when the command cannot be started.
Ended run_to_end(const Command& command, const Streams& streams);

/// Processes that this process began, by whichever path, that run now; the meter's helpers are none of them.
struct Descendants {
  struct Process {
    pid_t pid = 0;
    std::string name;
  };
  std::vector<Process> running;
  double busy_seconds = 0;  ///< their processor time, and that of the children that they waited for
};
Descendants descendants();

/// Takes in all descendants that ended and came to this process; their processor seconds. Not while
/// run_to_end() waits.
double take_in_ended();

/// 0, the exit status, or 128 + the signal that ended it, as shells say it.
int exit_status_of(int status);

}  // namespace wattle::inline meter
