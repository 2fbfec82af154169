#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>
#include <nlohmann/json.hpp>

namespace wattle {

/// A child process that answers JSON lines. It ends with this object, and with this process however that
/// ends.
class WorkerProcess {
 public:
  /// `command` is the program and its arguments; standard error goes to the file `log`.
  WorkerProcess(const std::vector<std::string>& command, const std::filesystem::path& log);
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  /// Sends a request and waits for its answer. Error with one sentence when the worker answers one, dies or
  /// takes longer than `seconds`; Error with exit status 130 on Ctrl-C.
  nlohmann::json ask(const nlohmann::ordered_json& request, double seconds);

 private:
  void send(const std::string& line);
  std::string receive(double seconds);
  [[noreturn]] void fail_dead();

  std::filesystem::path log_;
  pid_t process_ = -1;
  int to_ = -1, from_ = -1;
  std::string buffer_;
};

}  // namespace wattle
