#pragma once

#include <memory>
#include <string>
#include <vector>

#include <sys/types.h>
#include <nlohmann/json.hpp>

#include "tasks/answer.h"
#include "tasks/question.h"

namespace wattle {

/// Whoever can answer a plan's questions and be metered: a model of ours, a foreign command, a server, a
/// cascade of contenders. Lives in the worker process of its cell.
class Contender {
 public:
  virtual ~Contender() = default;

  /// Answers as a user would ask, one question at a time. Answer::work is empty where has_work() is false.
  virtual Answer answer(const Question& question) = 0;

  /// Whether answers carry the engine's record of the work, from which the modelled source computes. Else the
  /// processor time of this process, its children and processes() counts.
  virtual bool has_work() const = 0;
  /// Processes that work for the contender and are no descendants of this one: a local server.
  virtual std::vector<pid_t> processes() const { return {}; }
  /// Of the contender and everything that works for it.
  virtual int64_t peak_memory_bytes() const = 0;

  virtual nlohmann::ordered_json description() const = 0;
};

/// Starts or opens what a cell's `open` request names; the request is the runner's (study/cells.cc).
std::unique_ptr<Contender> open_contender(const nlohmann::ordered_json& request);

}  // namespace wattle
