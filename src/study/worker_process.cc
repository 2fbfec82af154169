#include "study/worker_process.h"

#include <csignal>
#include <cstring>

#include <sys/wait.h>
#include <wattle/error.h>

namespace wattle::inline study {

WorkerProcess::WorkerProcess(const std::vector<std::string>& command, const std::filesystem::path& log)
    : log_(log), process_({.words = command, .log = log}) {}

void WorkerProcess::fail_dead() {
  const int status = process_.wait_status();
  const std::string said = process_.last_words();
  const std::string tail = said.empty() ? "" : fmt::format("; its last words: {}", said);
  if (status != -1 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    fail(
        "the worker process was killed, most likely because memory ran out; use a smaller model or a lower "
        "precision{}",
        tail);
  }
  if (status != -1 && WIFSIGNALED(status)) {
    fail("the worker process {}; please report this with the model's name{}", process_.ending(), tail);
  }
  fail("the worker process {}{}; run `wattle run` on the model to see why", process_.ending(), tail);
}

nlohmann::json WorkerProcess::ask(const nlohmann::ordered_json& request, double seconds) {
  using Outcome = LineProcess::Outcome;
  std::string line = request.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  Outcome outcome = process_.send(line, seconds);
  if (outcome == Outcome::kDone) outcome = process_.receive(line, seconds);
  if (outcome == Outcome::kEnded) fail_dead();
  if (outcome == Outcome::kLate) {
    fail(
        "the worker process gave no answer within {:.0f} s; use a smaller model, fewer rows, or raise "
        "`time_limit_seconds` in the plan",
        seconds);
  }
  nlohmann::json answer = nlohmann::json::parse(line, nullptr, false);
  if (outcome != Outcome::kDone || answer.is_discarded() || !answer.is_object())
    fail("the worker process answered no JSON; see {}", log_.string());
  if (answer.contains("error")) throw Error(answer.at("error").get<std::string>());
  return answer;
}

}  // namespace wattle::inline study
