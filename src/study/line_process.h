#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace wattle::inline study {

/// How a program is started that reads lines and answers lines.
struct LineCommand {
  std::vector<std::string> words;        ///< program and arguments; without a '/' it is looked for in PATH
  std::filesystem::path directory = {};  ///< where it runs; empty: here
  std::map<std::string, std::string> environment = {};  ///< beside this process's own
  std::filesystem::path log = {};  ///< takes its standard error; empty: its end is kept in memory
};

/// A child process with lines in and lines out. It and all that it began end with this object, and itself
/// with this process however that ends. It has a process group of its own, so that a terminal's Ctrl-C
/// reaches this process alone, which then ends it.
class LineProcess {
 public:
  /// Error when it cannot be started.
  explicit LineProcess(const LineCommand& command);
  LineProcess(const LineProcess&) = delete;
  LineProcess& operator=(const LineProcess&) = delete;
  ~LineProcess();

  enum class Outcome { kDone, kLate, kEnded, kTooLong };
  /// Sends a line with its end. Error with exit status 130 on Ctrl-C, as of receive().
  Outcome send(std::string_view line, double seconds);
  /// The next line, without its end.
  Outcome receive(std::string& line, double seconds);
  /// Whatever came that no receive() took, up to now.
  std::string_view unread();

  pid_t pid() const { return process_; }
  /// How it ended, as wait(2) tells it; one that only closed its output is killed. -1: somebody else has
  /// taken that in.
  int wait_status();
  /// "ended with exit status 3", "was killed by signal 9 (Killed)", "closed its output".
  std::string ending();
  /// The last lines of its standard error, " / " between them; empty where it said nothing.
  std::string last_words();

 private:
  using Time = std::chrono::steady_clock::time_point;
  /// Moves what can be moved until `wait` is over: the rest of `line` in, lines and errors out.
  bool pump(std::string_view* line, int milliseconds);
  void read_errors();

  LineCommand command_;
  pid_t process_ = -1;
  bool reaped_ = false, killed_ = false;
  int status_ = -1;
  int to_ = -1, from_ = -1, errors_ = -1;
  std::string buffer_;
  size_t searched_ = 0;  ///< of buffer_, without finding the end of a line
  std::string said_;     ///< the end of its standard error
};

}  // namespace wattle::inline study
