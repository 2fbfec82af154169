#include "study/worker_process.h"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wattle/error.h>

#include "base/interrupt.h"

namespace wattle {
namespace {

std::string last_line(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::string line, last;
  while (std::getline(file, line)) {
    if (!line.empty()) last = line;
  }
  return last;
}

}  // namespace

WorkerProcess::WorkerProcess(const std::vector<std::string>& command, const std::filesystem::path& log)
    : log_(log) {
  int in[2], out[2];
  if (pipe2(in, O_CLOEXEC) != 0)
    fail("no pipe to a worker process: {}; close other programs", std::strerror(errno));
  if (pipe2(out, O_CLOEXEC) != 0)
    fail("no pipe to a worker process: {}; close other programs", std::strerror(errno));
  const int errors = open(log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (errors < 0)
    fail("{}: cannot be written ({}); give a directory that can", log.string(), std::strerror(errno));
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  process_ = fork();
  if (process_ < 0) fail("no worker process: {}; close other programs", std::strerror(errno));
  if (process_ == 0) {
    // Only calls that are safe between fork and exec. The group keeps the terminal's Ctrl-C from the worker:
    // the runner gets it, keeps what is whole, and ends the worker.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    setpgid(0, 0);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  close(in[0]), close(out[1]), close(errors);
  to_ = in[1];
  from_ = out[0];
  fcntl(to_, F_SETFL, O_NONBLOCK);
}

WorkerProcess::~WorkerProcess() {
  close(to_), close(from_);
  if (process_ > 0) {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
}

void WorkerProcess::fail_dead() {
  int status = 0;
  waitpid(process_, &status, 0);
  process_ = -1;
  const std::string said = last_line(log_);
  const std::string tail = said.empty() ? "" : fmt::format("; its last words: {}", said);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    fail(
        "the worker process was killed, most likely because memory ran out; use a smaller model or a lower "
        "precision{}",
        tail);
  }
  if (WIFSIGNALED(status)) {
    fail("the worker process ended by signal {} ({}); please report this with the model's name{}",
         WTERMSIG(status), strsignal(WTERMSIG(status)), tail);
  }
  fail("the worker process ended with status {}{}; run `wattle run` on the model to see why",
       WEXITSTATUS(status), tail);
}

void WorkerProcess::send(const std::string& line) {
  // A worker that died must give an error here, not a signal that ends this process.
  std::signal(SIGPIPE, SIG_IGN);
  for (size_t done = 0; done < line.size();) {
    throw_if_interrupted();
    const ssize_t wrote = write(to_, line.data() + done, line.size() - done);
    if (wrote > 0) {
      done += static_cast<size_t>(wrote);
    } else if (errno == EAGAIN || errno == EINTR) {
      pollfd wait{to_, POLLOUT, 0};
      poll(&wait, 1, 100);
    } else {
      fail_dead();
    }
  }
}

std::string WorkerProcess::receive(double seconds) {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  for (;;) {
    if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    throw_if_interrupted();
    if (std::chrono::steady_clock::now() > limit) {
      fail(
          "the worker process gave no answer within {:.0f} s; use a smaller model, fewer rows, or raise "
          "`time_limit_seconds` in the plan",
          seconds);
    }
    pollfd wait{from_, POLLIN, 0};
    if (poll(&wait, 1, 100) <= 0) continue;
    char bytes[65536];
    const ssize_t got = read(from_, bytes, sizeof(bytes));
    if (got > 0) buffer_.append(bytes, static_cast<size_t>(got));
    if (got == 0) fail_dead();
  }
}

nlohmann::json WorkerProcess::ask(const nlohmann::ordered_json& request, double seconds) {
  send(request.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
  nlohmann::json answer = nlohmann::json::parse(receive(seconds), nullptr, false);
  if (answer.is_discarded() || !answer.is_object())
    fail("the worker process answered no JSON; see {}", log_.string());
  if (answer.contains("error")) throw Error(answer.at("error").get<std::string>());
  return answer;
}

}  // namespace wattle
