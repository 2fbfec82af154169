#include "meter/processes.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <map>
#include <set>

#include <fmt/format.h>
#include <wattle/error.h>

#include "meter/attribution.h"
#include "meter/helper_process.h"
#include "meter/machine.h"

namespace wattle::inline meter {
namespace {

constexpr int kPassedOn[] = {SIGTERM, SIGINT, SIGHUP};

std::atomic<int> last_signal{0};
std::atomic<int> to_pass_on{0};
std::atomic<int> wake_up{-1};  ///< the end of a pipe that a signal writes to
struct sigaction before[std::size(kPassedOn) + 1];
int pipe_ends[2] = {-1, -1};

void on_signal(int signal, siginfo_t* about, void*) {
  const int code = errno;
  if (signal != SIGCHLD) {
    last_signal = signal;
    // A terminal tells every process of its foreground group.
    if (about->si_code != SI_KERNEL) to_pass_on = signal;
  }
  const char byte = 0;
  [[maybe_unused]] const ssize_t sent = ::write(wake_up, &byte, 1);
  errno = code;
}

/// The child's side of a start: arguments in place of this program. An error goes back through `report`.
[[noreturn]] void become(const std::vector<char*>& arguments, bool quiet, int input, int report) {
  if (input >= 0) ::dup2(input, STDIN_FILENO);
  if (quiet) {
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
  }
  ::execvp(arguments[0], arguments.data());
  const int code = errno;
  [[maybe_unused]] const ssize_t sent = ::write(report, &code, sizeof code);
  ::_exit(127);
}

int open_input(const Streams& streams) {
  if (streams.input.empty()) return -1;
  const int input = ::open(streams.input.c_str(), O_RDONLY | O_CLOEXEC);
  if (input < 0) fail("standard input cannot be given to another run ({})", std::strerror(errno));
  if (streams.input_offset > 0) ::lseek(input, streams.input_offset, SEEK_SET);
  return input;
}

pid_t start(const Command& command, const Streams& streams) {
  std::vector<std::string> arguments = command.arguments;
  if (command.shell) arguments = {"/bin/sh", "-c", command.arguments.front()};
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  pointers.push_back(nullptr);
  const int input = open_input(streams);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("{}: cannot be started ({})", command.text(), std::strerror(errno));
  const pid_t child = ::fork();
  if (child == 0) become(pointers, streams.quiet, input, ends[1]);
  ::close(ends[1]);
  if (input >= 0) ::close(input);
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

void pass_on(int signal, pid_t child) {
  ::kill(child, signal);
  for (const Descendants::Process& process : descendants().running) {
    if (process.pid != child) ::kill(process.pid, signal);
  }
}

}  // namespace

std::string Command::text() const {
  std::string joined;
  for (const std::string& argument : arguments) joined += (joined.empty() ? "" : " ") + argument;
  return joined;
}

SignalRelay::SignalRelay() {
  last_signal = 0, to_pass_on = 0;
  if (::pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0)
    fail("no pipe is to be had ({})", std::strerror(errno));
  wake_up = pipe_ends[1];
  struct sigaction action {};
  action.sa_sigaction = on_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART;
  size_t i = 0;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) {
    ::sigaction(signal, nullptr, &before[i]);
    // nohup and shells that start programs in the background want some of them ignored.
    if (signal == SIGCHLD || before[i].sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
    ++i;
  }
}

SignalRelay::~SignalRelay() {
  size_t i = 0;
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) ::sigaction(signal, &before[i++], nullptr);
  wake_up = -1;
  for (int& end : pipe_ends) ::close(end), end = -1;
}

int SignalRelay::received() {
  return last_signal;
}

Ended run_to_end(const Command& command, const Streams& streams) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  const pid_t child = start(command, streams);
  Ended ended;
  rusage usage{};
  const bool relayed = wake_up >= 0;
  while (true) {
    const pid_t done = ::wait4(child, &ended.status, relayed ? WNOHANG : 0, &usage);
    if (done == child) break;
    if (done < 0 && errno != EINTR) fail("{}: was lost sight of ({})", command.text(), std::strerror(errno));
    if (!relayed) continue;
    if (const int signal = to_pass_on.exchange(0); signal != 0) pass_on(signal, child);
    // A signal between the question and the wait has left its byte in the pipe.
    pollfd waiting{pipe_ends[0], POLLIN, 0};
    ::poll(&waiting, 1, 1000);
    char bytes[64];
    while (::read(pipe_ends[0], bytes, sizeof bytes) > 0) {
    }
  }
  ended.busy_seconds = busy_of(usage);
  return ended;
}

Descendants descendants() {
  Descendants found;
  const auto machine = open_machine("/");
  const pid_t self = ::getpid();
  for (const auto& [pid, process] : process_trees(process_times(*machine), {&self, 1}, running_helpers())) {
    if (pid == self || process.state == 'Z' || process.state == 'X') continue;
    found.running.push_back({static_cast<pid_t>(pid), process.name});
    found.busy_seconds += process.busy_seconds + process.children_seconds;
  }
  return found;
}

double take_in_ended() {
  double seconds = 0;
  while (reap_other_child(seconds) == Reaped::kOne) {
  }
  return seconds;
}

int exit_status_of(int status) {
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

}  // namespace wattle::inline meter
