#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/phases.h"
#include "decode/options.h"
#include "models/model.h"
#include "tasks/answer.h"
#include "tasks/question.h"

namespace wattle::inline tasks {

/// What the tasks of models' own heads may be asked.
struct HeadOptions {
  /// How labels of tokens become spans: joined by their labels' scheme, of tokens or of words; a word has the
  /// label of its first token, of the likeliest, or of its tokens' mean. kNone: every token is a span.
  enum class Join { kNone, kSimple, kFirst, kMax, kAverage };
  Join join = Join::kSimple;
  int64_t top = 0;     ///< answers, or tokens for a mask; 0: 1 answer, 5 tokens
  int64_t window = 0;  ///< tokens of question and context; 0: 384; never more than the model reads
  std::optional<int64_t>
      overlap;  ///< of windows, in tokens. Answers: half a window, at most 128; tags: texts are cut
  int64_t longest_answer = 15;  ///< tokens
  bool no_answer = false;       ///< the empty answer is one of the candidates
  bool raw_scores = false;      ///< ranking: logits instead of what the model's publisher makes of them
};

struct TaskOptions {
  std::string task;                      ///< one of task_names(); empty: what the model is for
  std::vector<std::string> labels = {};  ///< classify by likelihood: the labels' words
  bool choices = false;  ///< classify by likelihood: each question brings its own labels (MultipleChoice)
  std::string prompt_template = {};  ///< "{text}" stands for the row's text, "{labels}" for the labels' list
  std::vector<std::pair<std::string, std::string>> examples = {};  ///< few-shot: text, label
  bool normalise_length =
      false;               ///< classify by likelihood: the mean over a label's tokens instead of the sum
  std::string base = {};   ///< for a trained head: the base model to use instead of the one it was trained on
  int64_t max_tokens = 0;  ///< 0: generate 128, perplexity the whole text
  int64_t context = 512;   ///< perplexity: window
  /// How texts are continued; what is absent is as the model's publisher has it, but for the sampler and the
  /// length, which is max_tokens.
  GenerationOptions generation = {};
  HeadOptions head = {};
  std::string from = {},
              to = {};  ///< translate: languages, as the model's tokens name them or in words for a decoder
  /// Embed: what stands before each text, itself or by its name among the model's own; absent: the model's
  /// default.
  std::optional<std::string> prompt, prompt_name;
  bool chat = true;  ///< use the model's chat template where it has one
  bool parse_special = false;
  std::optional<std::chrono::local_seconds> now = {};  ///< what chat templates may ask for
  std::function<void(std::string_view)> stream =
      {};  ///< called with each piece of generated text of a single row
  /// Called between the steps of a long answer (a window of perplexity) with the part of the rows that is
  /// done, 0..1.
  std::function<void(double)> progress = {};
};

/// "embed, classify, ...": for help and error sentences.
std::string task_names();

/// A task bound to an opened model (or trained head, forest, keyword rule). Knows no joules.
class Task {
 public:
  /// Where the base model of the trained head at `model_path` lies: as `wanted` names it, else where it was
  /// in training, else beside the head. Empty for everything else than a head on embeddings.
  static std::string base_of(const std::string& model_path, const std::string& wanted);

  /// The columns that the trained head at `model_path` reads; none of everything else than a head on tables.
  static std::vector<std::string> columns_of(const std::string& model_path);

  /// `model_path` is anything `wattle run` takes: a model file or folder, or a file made by `wattle train`.
  /// Error when the model cannot do the task, saying which tasks it can.
  static std::unique_ptr<Task> create(const std::string& model_path, const TaskOptions& options,
                                      const LoadOptions& load = {});
  virtual ~Task() = default;

  /// Answers in the order of the questions. An answer does not depend on what its question was batched with.
  /// Throws Error for a question of another kind than the task answers.
  virtual std::vector<Answer> answer(std::span<const Question> questions) = 0;
  /// The same of one question. Tasks that take microseconds answer it without a batch's overhead.
  virtual Answer answer_one(const Question& question) { return std::move(answer({&question, 1}).front()); }
  /// Whether stretches() and the phases of answers are kept; at first they are.
  void keep_phases(bool keep) { log_.set_active(keep); }
  /// When each phase of the last batch ran and what it did, in the order of time.
  std::span<const Stretch> stretches() const { return log_.stretches(); }
  /// After the last question: the task's summary (perplexity), or null.
  virtual nlohmann::ordered_json summary() const { return nullptr; }

  /// Architecture, formats of the tensors, true bits per weight, where the weights come from.
  virtual nlohmann::ordered_json description() const = 0;
  /// What the model's tokenizer lacks and how it is read instead, one sentence each.
  const std::vector<std::string>& notes() const { return notes_; }

 protected:
  std::vector<std::string> notes_;
  StretchLog log_;
};

}  // namespace wattle::inline tasks
