// A model of ours as a contender: any task, and rankings, similarities and choices made of the tasks'
// answers.
#include <chrono>
#include <utility>

#include <wattle/error.h>

#include "study/conditions.h"
#include "study/contender_kinds.h"
#include "tasks/task.h"

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

// Below this the clocks of phases would be a notable part of an answer.
constexpr double kPhasesFrom = 1e-3;

std::vector<std::pair<std::string, std::string>> examples_of(const Json& list) {
  std::vector<std::pair<std::string, std::string>> examples;
  for (const Json& example : list) {
    if (!example.is_array() || example.size() != 2 || !example[0].is_string() || !example[1].is_string())
      fail("an example of a model is {}, and not a text with its answer", example.dump());
    examples.emplace_back(example[0], example[1]);
  }
  return examples;
}

TaskOptions task_options(RequestFields& fields, const std::vector<std::string>& words) {
  TaskOptions options;
  options.task = fields.text("task", "classify");
  options.base = fields.text("base", "");
  // A plan gives the same prompts on every day: chat templates that write the date write this one.
  options.now = std::chrono::local_days(std::chrono::year(2025) / 1 / 1);
  const bool embeds = options.task == "embed";
  const std::string prompt = fields.text("prompt", "");
  if (embeds && fields.has("prompt")) options.prompt = prompt;
  if (fields.has("prompt_name")) options.prompt_name = fields.text("prompt_name", "");
  if (options.task == "classify") {
    options.labels = words;
    options.choices = words.empty();
  }
  if (!embeds) options.prompt_template = prompt;
  options.examples = examples_of(fields.value("examples"));
  options.normalise_length = fields.flag("normalise_length", false);
  options.max_tokens = fields.count("max_tokens", 0);
  options.context = fields.count("context", options.context);
  options.from = fields.text("from", "");
  options.to = fields.text("to", "");
  options.chat = fields.flag("chat", true);
  options.generation.stop = fields.texts("stop");
  if (fields.has("beams")) options.generation.beams = fields.count("beams", 1);
  options.head.top = fields.count("top", 0);
  options.head.window = fields.count("window", 0);
  if (fields.has("overlap")) options.head.overlap = fields.count("overlap", 0);
  options.head.longest_answer = fields.count("longest_answer", options.head.longest_answer);
  options.head.no_answer = fields.flag("no_answer", false);
  options.head.raw_scores = fields.flag("raw_scores", false);
  return options;
}

class ModelContender final : public Contender {
 public:
  explicit ModelContender(const Json& request) {
    RequestFields fields(request);
    words_ = fields.texts("answers");
    std::vector<std::string> labels = fields.texts("labels");
    if (words_.empty()) words_ = labels;
    if (!labels.empty() && labels.size() != words_.size()) {
      fail("a model has {} `labels` and {} `answers` for them; give one a label", labels.size(),
           words_.size());
    }
    if (!labels.empty()) labels_ = std::make_shared<const std::vector<std::string>>(std::move(labels));
    const TaskOptions options = task_options(fields, words_);
    task_name_ = options.task;
    LoadOptions load;
    if (const std::string precision = fields.text("precision", ""); !precision.empty())
      load.take(Precision::parse(precision));
    const std::string model = fields.need_text("model");
    fields.finish();
    task_ = Task::create(model, options, load);
  }

  void prepare(std::span<const Question> questions) override {
    Contender::prepare(questions);
    parts_.clear();
    for (size_t i = 0; i < questions.size(); ++i) {
      std::vector<Question> parts = parts_of(questions[i]);
      if (parts.empty()) continue;
      parts_.resize(questions.size());
      parts_[i] = std::move(parts);
    }
  }

  void ask(size_t place, Reply& reply) override {
    if (parts_.empty() || parts_[place].empty()) {
      reply.answer = task_->answer_one(questions_[place]);
      return;
    }
    std::vector<Answer> answers = task_->answer(parts_[place]);
    Answer& whole = reply.answer;
    whole = {};
    for (const Answer& part : answers) whole.work += part.work;
    whole.value = answer_by_scores(questions_[place], scores_of(answers));
  }

  Answer read(size_t, Reply reply) override {
    rename_labels(reply.answer, words_, labels_);
    return std::move(reply.answer);
  }

  void expect(double seconds_a_question) override { task_->keep_phases(seconds_a_question >= kPhasesFrom); }
  bool has_work() const override { return true; }
  int64_t peak_memory_bytes() const override { return wattle::peak_memory_bytes(); }
  Json description() const override { return task_->description(); }

 private:
  /// The questions that the task answers in place of one that it does not know; none for all others.
  std::vector<Question> parts_of(const Question& question) const {
    const auto* ranking = std::get_if<Ranking>(&question.content);
    const auto* choice = std::get_if<MultipleChoice>(&question.content);
    const auto* pair = std::get_if<TextPair>(&question.content);
    const bool ranks = task_name_ == "rank", embeds = task_name_ == "embed";
    if (ranking != nullptr && !ranks && !embeds)
      fail("row {}: documents are ranked by the tasks rank and embed, not by {}", question.id, task_name_);
    if ((!ranks && !embeds) || (ranking == nullptr && choice == nullptr && (ranks || pair == nullptr)))
      return {};
    const std::string& first = ranking != nullptr  ? ranking->query
                               : choice != nullptr ? choice->question
                                                   : pair->first;
    const std::vector<std::string> others = ranking != nullptr  ? ranking->documents
                                            : choice != nullptr ? choice->choices
                                                                : std::vector<std::string>{pair->second};
    std::vector<Question> parts;
    if (embeds) parts.push_back({question.id, first});
    for (const std::string& other : others) {
      if (embeds) parts.push_back({question.id, other});
      if (ranks) parts.push_back({question.id, TextPair{first, other}});
    }
    return parts;
  }

  std::vector<double> scores_of(const std::vector<Answer>& answers) const {
    std::vector<double> scores;
    if (task_name_ == "rank") {
      for (const Answer& answer : answers) scores.push_back(std::get<ScoreAnswer>(answer.value).score);
      return scores;
    }
    const auto vector_of = [](const Answer& answer) -> const std::vector<float>& {
      return std::get<VectorAnswer>(answer.value).embedding;
    };
    for (size_t i = 1; i < answers.size(); ++i)
      scores.push_back(cosine(vector_of(answers[0]), vector_of(answers[i])));
    return scores;
  }

  std::unique_ptr<Task> task_;
  std::string task_name_;
  std::vector<std::string> words_;                          ///< what the task says for each label
  std::shared_ptr<const std::vector<std::string>> labels_;  ///< the data's names for them; null: the same
  std::vector<std::vector<Question>> parts_;  ///< by place, where a question is answered by several
};

}  // namespace

std::unique_ptr<Contender> open_model(const Json& request) {
  return std::make_unique<ModelContender>(request);
}

}  // namespace wattle::inline study
