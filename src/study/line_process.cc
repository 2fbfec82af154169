#include "study/line_process.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <thread>

#include <fcntl.h>
#include <fmt/ranges.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "study/process_tree.h"

namespace wattle::inline study {
namespace {

// A line is one answer; a gigabyte of it is a program that has lost its way.
constexpr size_t kLongestLine = size_t{1} << 30;
constexpr size_t kKeptErrors = 4096, kLastLines = 3, kLongestWord = 300;
constexpr int kStep = 100;  // milliseconds between looks at Ctrl-C and the time limit

struct Pipe {
  int read = -1, write = -1;
};
Pipe open_pipe(const std::string& program) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    fail("{}: cannot be started, for no pipe is to be had ({}); close other programs", program,
         std::strerror(errno));
  }
  return {ends[0], ends[1]};
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (more.count(text.substr(0, text.find('='))) == 0) all.push_back(text);
  }
  for (const auto& [name, value] : more) all.push_back(name + "=" + value);
  return all;
}

/// What the child does between fork and exec; only calls that are safe there. Returns through `report`.
[[noreturn]] void become(const LineCommand& command, char** arguments, char** environment, pid_t parent,
                         int in, int out, int errors, int report) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  setpgid(0, 0);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  signal(SIGPIPE, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
  if (command.directory.empty() || chdir(command.directory.c_str()) == 0)
    execvpe(arguments[0], arguments, environment);
  const int code = errno;
  [[maybe_unused]] const ssize_t sent = write(report, &code, sizeof code);
  _exit(127);
}

/// The last lines of a text, in one.
std::string last_lines(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() < kLastLines) {
    const size_t end = text.find_last_of('\n');
    std::string line(text.substr(end == std::string_view::npos ? 0 : end + 1));
    text = text.substr(0, end == std::string_view::npos ? 0 : end);
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    if (line.size() > kLongestWord) line = line.substr(0, kLongestWord) + "...";
    lines.insert(lines.begin(), std::move(line));
  }
  return fmt::format("{}", fmt::join(lines, " / "));
}

std::string end_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto size = static_cast<std::streamoff>(file.tellg());
  if (!file || size <= 0) return {};
  const auto wanted = std::min<std::streamoff>(size, kKeptErrors);
  std::string text(static_cast<size_t>(wanted), '\0');
  file.seekg(size - wanted);
  file.read(text.data(), wanted);
  return text;
}

}  // namespace

LineProcess::LineProcess(const LineCommand& command) : command_(command) {
  if (command.words.empty() || command.words[0].empty()) fail("a command is empty; give a program's name");
  const std::string& program = command.words[0];
  const Pipe in = open_pipe(program), out = open_pipe(program), report = open_pipe(program);
  Pipe errors{-1, -1};
  if (command.log.empty()) {
    errors = open_pipe(program);
  } else {
    errors.write = open(command.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (errors.write < 0)
      fail("{}: cannot be written ({}); give a directory that can", command.log.string(),
           std::strerror(errno));
  }
  std::vector<std::string> words = command.words, variables = environment_with(command.environment);
  std::vector<char*> arguments = pointers_to(words), environment = pointers_to(variables);
  // A program that died must give an error here, not a signal that ends this process.
  std::signal(SIGPIPE, SIG_IGN);
  const pid_t parent = getpid();
  process_ = fork();
  if (process_ == 0)
    become(command_, arguments.data(), environment.data(), parent, in.read, out.write, errors.write,
           report.write);
  int code = process_ < 0 ? errno : 0;
  close(in.read), close(out.write), close(errors.write), close(report.write);
  to_ = in.write, from_ = out.read, errors_ = errors.read;
  if (process_ > 0 && read(report.read, &code, sizeof code) != sizeof code) code = 0;
  close(report.read);
  if (code != 0) {
    if (process_ > 0) waitpid(process_, nullptr, 0);
    for (const int end : {to_, from_, errors_}) {
      if (end >= 0) close(end);
    }
    fail("{}: cannot be started{} ({}); check the name and that it is executable", program,
         command.directory.empty() ? "" : " in " + command.directory.string(), std::strerror(code));
  }
  for (const int end : {to_, from_, errors_}) {
    if (end >= 0) fcntl(end, F_SETFL, O_NONBLOCK);
  }
}

LineProcess::~LineProcess() {
  if (!reaped_ && process_ > 0) {
    kill_tree(process_);
    kill(-process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  } else if (process_ > 0) {
    kill(-process_, SIGKILL);  // what it began and left behind
  }
  for (const int end : {to_, from_, errors_}) {
    if (end >= 0) close(end);
  }
}

void LineProcess::read_errors() {
  char bytes[4096];
  for (ssize_t got = 0; errors_ >= 0 && (got = read(errors_, bytes, sizeof bytes)) >= 0;) {
    if (got == 0) {
      close(errors_);
      errors_ = -1;
      return;
    }
    said_.append(bytes, static_cast<size_t>(got));
    if (said_.size() > 2 * kKeptErrors) said_.erase(0, said_.size() - kKeptErrors);
  }
}

bool LineProcess::pump(std::string_view* line, int milliseconds) {
  pollfd ends[] = {{from_, POLLIN, 0}, {errors_, POLLIN, 0}, {line != nullptr ? to_ : -1, POLLOUT, 0}};
  if (poll(ends, 3, milliseconds) <= 0) return true;
  if (ends[1].revents != 0) read_errors();
  if ((ends[2].revents & POLLOUT) != 0) {
    const ssize_t wrote = write(to_, line->data(), line->size());
    if (wrote > 0) line->remove_prefix(static_cast<size_t>(wrote));
    if (wrote < 0 && errno != EAGAIN && errno != EINTR) return false;
  } else if (ends[2].revents != 0) {
    return false;
  }
  if (ends[0].revents == 0) return true;
  char bytes[65536];
  const ssize_t got = read(from_, bytes, sizeof bytes);
  if (got > 0) buffer_.append(bytes, static_cast<size_t>(got));
  return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

LineProcess::Outcome LineProcess::send(std::string_view line, double seconds) {
  const Time limit =
      std::chrono::steady_clock::now() +
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
  std::string_view rest = line;
  // A pipe takes a line of usual length at once.
  const ssize_t wrote = write(to_, rest.data(), rest.size());
  if (wrote > 0) rest.remove_prefix(static_cast<size_t>(wrote));
  if (wrote < 0 && errno != EAGAIN && errno != EINTR) return Outcome::kEnded;
  while (!rest.empty()) {
    throw_if_interrupted();
    if (!pump(&rest, kStep)) return Outcome::kEnded;
    if (!rest.empty() && std::chrono::steady_clock::now() > limit) return Outcome::kLate;
  }
  return Outcome::kDone;
}

LineProcess::Outcome LineProcess::receive(std::string& line, double seconds) {
  const Time limit =
      std::chrono::steady_clock::now() +
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
  for (;;) {
    if (const size_t end = buffer_.find('\n', searched_); end != std::string::npos) {
      line.assign(buffer_, 0, end);
      buffer_.erase(0, end + 1);
      searched_ = 0;
      return Outcome::kDone;
    }
    searched_ = buffer_.size();
    if (buffer_.size() > kLongestLine) return Outcome::kTooLong;
    throw_if_interrupted();
    if (std::chrono::steady_clock::now() > limit) return Outcome::kLate;
    if (!pump(nullptr, kStep)) return Outcome::kEnded;
  }
}

std::string_view LineProcess::unread() {
  pump(nullptr, 0);
  return buffer_;
}

int LineProcess::wait_status() {
  if (reaped_) return status_;
  constexpr int kTries = 200;
  pid_t ended = 0;
  for (int i = 0; i < kTries && ended == 0; ++i) {
    if (i > 0) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ended = waitpid(process_, &status_, WNOHANG);
  }
  if (ended == 0) {
    killed_ = true;
    kill_tree(process_);
    ended = waitpid(process_, &status_, 0);
  }
  if (ended < 0) status_ = -1;
  reaped_ = true;
  return status_;
}

std::string LineProcess::ending() {
  const int status = wait_status();
  if (killed_) return "closed its output";
  if (status == -1) return "ended";
  if (WIFSIGNALED(status))
    return fmt::format("was killed by signal {} ({})", WTERMSIG(status), strsignal(WTERMSIG(status)));
  return fmt::format("ended with exit status {}", WEXITSTATUS(status));
}

std::string LineProcess::last_words() {
  if (!command_.log.empty()) return last_lines(end_of_file(command_.log));
  read_errors();
  return last_lines(said_);
}

}  // namespace wattle::inline study
