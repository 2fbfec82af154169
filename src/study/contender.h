#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>
#include <nlohmann/json.hpp>

#include "tasks/answer.h"
#include "tasks/question.h"

namespace wattle::inline study {

/// What came back for a question: typed already, or the text that Contender::read() makes typed when the
/// window is over.
struct Reply {
  Answer answer;
  std::string text;
  size_t stage = 0;  ///< of a cascade: who gave it
};

/// Whoever can answer a plan's questions and be metered: a model of ours, a foreign command, a server, a
/// cascade of contenders. Lives in the worker process of its cell.
class Contender {
 public:
  virtual ~Contender() = default;

  /// Takes the questions of the next windows and makes ready what is sent for each, which is the harness's
  /// work and stays outside of windows. They must outlive the windows. Error for a question of a kind that
  /// the contender does not answer.
  virtual void prepare(std::span<const Question> questions) { questions_ = questions; }
  /// Asks the question at `place` as a user would, one at a time. Answer::work is empty where has_work() is
  /// false. Error in one sentence when there is no answer.
  virtual void ask(size_t place, Reply& reply) = 0;
  /// The typed answer to the question at `place`. Error for one of another kind than the task's.
  virtual Answer read(size_t place, Reply reply) { return std::move(reply.answer); }
  /// Hears after the warm-up what a question takes; what only matters to long ones is left out of windows.
  virtual void expect(double seconds_a_question) {}
  /// After a window. Error when something came that was not asked for.
  virtual void finish() {}

  /// Whether answers carry the engine's record of the work, from which the modelled source computes. Else the
  /// processor time of this process, its descendants and processes() counts.
  virtual bool has_work() const = 0;
  /// Processes that work for the contender and are no descendants of this one: a local server.
  virtual std::vector<pid_t> processes() const { return {}; }
  /// Where the work is done, for sentences, when that is not known to be on this machine; else empty.
  virtual std::string elsewhere() const { return {}; }
  /// Of the contender and everything that works for it.
  virtual int64_t peak_memory_bytes() const = 0;

  virtual nlohmann::ordered_json description() const = 0;
  /// What became known since prepare() beside the answers, or null: the shares that a cascade passed on.
  virtual nlohmann::ordered_json facts() const { return nullptr; }

 protected:
  std::span<const Question> questions_;
};

/// Starts or opens what a cell's `open` request names (docs/contenders.md): its `kind` is model, command,
/// server, cascade or empty; absent: model. Error in one sentence for a request that is not understood.
std::unique_ptr<Contender> open_contender(const nlohmann::ordered_json& request);

/// One question, outside of windows.
Answer answer_of(Contender& contender, const Question& question);

}  // namespace wattle::inline study
