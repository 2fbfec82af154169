#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "study/line_process.h"

namespace wattle::inline study {

/// A child process that answers JSON lines. It and all that it began end with this object, and itself with
/// this process however that ends.
class WorkerProcess {
 public:
  /// `command` is the program and its arguments; standard error goes to the file `log`.
  WorkerProcess(const std::vector<std::string>& command, const std::filesystem::path& log);

  /// Sends a request and waits for its answer. Error with one sentence when the worker answers one, dies or
  /// takes longer than `seconds`; Error with exit status 130 on Ctrl-C.
  nlohmann::json ask(const nlohmann::ordered_json& request, double seconds);

 private:
  [[noreturn]] void fail_dead();

  std::filesystem::path log_;
  LineProcess process_;
};

}  // namespace wattle::inline study
