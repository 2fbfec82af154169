#include "meter/helper_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include <fmt/format.h>

namespace wattle::inline meter {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kLongestAnswer = 4096;

std::mutex helpers_mutex;
std::set<pid_t> helpers;
std::atomic<double> helpers_cpu_seconds = 0;

double seconds_of(const rusage& usage) {
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         1e-6 * static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

pid_t start_helper(const std::string& shell_line, int output) {
  const std::lock_guard lock(helpers_mutex);
  const pid_t child = ::fork();
  if (child == 0) {
    ::setpgid(0, 0);
    ::dup2(output, STDOUT_FILENO);
    const int nowhere = ::open("/dev/null", O_RDWR);
    ::dup2(nowhere, STDIN_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execl("/bin/sh", "sh", "-c", shell_line.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  if (child > 0) {
    ::setpgid(child, child);  // whichever of the two comes first
    helpers.insert(child);
  }
  return child;
}

enum class Ending { kWhole, kLate, kLong };

/// Reads until the end of the stream, which does not block. A signal (the end of another child) may come to
/// this thread at any moment: it ends poll() with nothing to be read, and gives no more time.
Ending read_all(int stream, Clock::time_point until, std::string& text) {
  while (text.size() <= kLongestAnswer) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
    if (left <= 0) return Ending::kLate;
    pollfd waiting{stream, POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(std::min<int64_t>(left, INT_MAX))) <= 0) continue;
    char block[512];
    const ssize_t size = ::read(stream, block, sizeof block);
    if (size < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (size <= 0) return Ending::kWhole;
    text.append(block, static_cast<size_t>(size));
  }
  return Ending::kLong;
}

/// Waits for a child that has closed its output; false when it has not ended by then.
bool wait_until(pid_t child, Clock::time_point until, int& status) {
  rusage usage{};
  while (::wait4(child, &status, WNOHANG, &usage) == 0) {
    if (Clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  helpers_cpu_seconds += seconds_of(usage);
  return true;
}

/// Whether a child of this process that is no helper exists, by /proc; `child` is one.
bool find_other_child(pid_t& child) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0 || helpers.count(pid) > 0) continue;
    std::string stat;
    std::getline(std::ifstream(entry.path() / "stat"), stat);
    const size_t name_end = stat.rfind(") ");
    if (name_end == std::string::npos) continue;
    if (std::atoi(stat.c_str() + name_end + 4) == ::getpid()) {  // ") S 1234": state and parent
      child = pid;
      return true;
    }
  }
  return false;
}

}  // namespace

HelperOutput run_helper(const std::string& shell_line, double limit_seconds) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return {{}, fmt::format("cannot be run ({})", std::strerror(errno))};
  const pid_t child = start_helper(shell_line, ends[1]);
  const int start_error = errno;
  ::close(ends[1]);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  if (child < 0) {
    ::close(ends[0]);
    return {{}, fmt::format("cannot be run ({})", std::strerror(start_error))};
  }
  const auto until = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                        std::chrono::duration<double>(limit_seconds));
  std::string text;
  int status = 0;
  Ending ending = read_all(ends[0], until, text);
  ::close(ends[0]);
  if (ending == Ending::kWhole && !wait_until(child, until, status)) ending = Ending::kLate;
  if (ending != Ending::kWhole) {
    ::kill(-child, SIGKILL);
    rusage usage{};
    ::wait4(child, &status, 0, &usage);
    helpers_cpu_seconds += seconds_of(usage);
  }
  {
    const std::lock_guard lock(helpers_mutex);
    helpers.erase(child);
  }
  if (ending == Ending::kLate)
    return {{}, fmt::format("did not end within {:.3g} s and was stopped", limit_seconds)};
  if (ending == Ending::kLong) return {{}, fmt::format("says more than {} bytes", kLongestAnswer)};
  if (WIFSIGNALED(status)) return {{}, fmt::format("was killed by signal {}", WTERMSIG(status))};
  if (WEXITSTATUS(status) != 0) return {{}, fmt::format("ended with exit status {}", WEXITSTATUS(status))};
  return {text, ""};
}

double helper_cpu_seconds() {
  return helpers_cpu_seconds;
}

std::set<pid_t> running_helpers() {
  const std::lock_guard lock(helpers_mutex);
  return helpers;
}

Reaped reap_other_child(double& busy_seconds) {
  const std::lock_guard lock(helpers_mutex);
  pid_t child = -1;
  // While a helper runs, waiting for "any child" could take it from the thread that waits for it.
  if (!helpers.empty() && !find_other_child(child)) return Reaped::kNone;
  rusage usage{};
  const pid_t ended = ::wait4(child, nullptr, WNOHANG, &usage);
  if (ended < 0) return Reaped::kNone;
  if (ended == 0) return Reaped::kRunning;
  busy_seconds += seconds_of(usage);
  return Reaped::kOne;
}

}  // namespace wattle::inline meter
