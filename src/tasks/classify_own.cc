// Labels of sequences by the model's own head, as the text-classification pipeline of transformers gives
// them; and the score of a pair of texts, as a CrossEncoder of Sentence Transformers does.
#include <algorithm>
#include <utility>

#include <wattle/error.h>

#include "tasks/kinds.h"
#include "tasks/own_head.h"

namespace wattle::inline tasks {
namespace {

/// What becomes of a head's logits.
enum class Scores { kSoftmax, kSigmoid, kRaw };

Scores scores_of(const Model& model, int64_t outputs) {
  const std::string problem = model.metadata().text("wattle.problem_type").value_or("");
  if (problem == "regression") return Scores::kRaw;
  if (problem == "multi_label_classification" || outputs == 1) return Scores::kSigmoid;
  if (problem.empty() || problem == "single_label_classification") return Scores::kSoftmax;
  fail(
      "{}: problem_type is {}; known are regression, single_label_classification and "
      "multi_label_classification",
      model.file().path().string(), problem);
}

void squash(Scores scores, std::span<float> values) {
  if (scores == Scores::kSoftmax) softmax(values);
  if (scores != Scores::kSigmoid) return;
  for (float& value : values) value = sigmoid(value);
}

class SequenceTask : public Task {
 public:
  SequenceTask(std::unique_ptr<Model> model, bool pairs)
      : model_(std::move(model)), head_(*model_, NetworkHeadKind::kSequence), pairs_(pairs) {}

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    std::vector<HeadInput> inputs;
    log_.restart();
    for (size_t i = 0; i < questions.size(); ++i) {
      if (pairs_ && questions[i].ids() == nullptr &&
          !std::holds_alternative<TextPair>(questions[i].content)) {
        fail("row {}: ranking scores two texts; give the query as the text and the document as the text pair",
             questions[i].id);
      }
      inputs.push_back(head_.input_of(questions[i], answers[i].truncation));
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    const auto records = head_.run(
        inputs, [&](size_t i, ConstMatrixView logits) { set_value(logits.row(0), answers[i]); }, log_);
    for (size_t i = 0; i < questions.size(); ++i) add(records[i], answers[i]);
    return answers;
  }

  nlohmann::ordered_json description() const override { return describe(model_->file()); }

 protected:
  virtual void set_value(std::span<const float> logits, Answer& answer) const = 0;

  std::unique_ptr<Model> model_;
  OwnHead head_;
  bool pairs_;
};

class ClassifyByOwnHead : public SequenceTask {
 public:
  explicit ClassifyByOwnHead(std::unique_ptr<Model> model)
      : SequenceTask(std::move(model), false), scores_(scores_of(*model_, head_.outputs())) {
    if (head_.outputs() > 1) labels_ = label_names(*model_);
  }

 private:
  void set_value(std::span<const float> logits, Answer& answer) const override {
    std::vector<float> scores(logits.begin(), logits.end());
    squash(scores_, scores);
    if (scores.size() == 1) {
      answer.value = ScoreAnswer{scores[0]};
      return;
    }
    const auto best = static_cast<int>(std::ranges::max_element(scores) - scores.begin());
    answer.value = LabelAnswer{best, std::move(scores), labels_, {}};
  }

  Scores scores_;
  std::shared_ptr<const std::vector<std::string>> labels_;
};

/// Raw logits where the model's publisher or the caller wants them, else sigmoids.
class Rank : public SequenceTask {
 public:
  Rank(std::unique_ptr<Model> model, const TaskOptions& options) : SequenceTask(std::move(model), true) {
    if (head_.outputs() != 1) {
      fail("{}: its head has {} outputs, and ranking needs one score; classify with it instead",
           model_->file().path().string(), head_.outputs());
    }
    const std::string function = model_->metadata().text("wattle.rank.activation").value_or("sigmoid");
    if (function != "sigmoid" && function != "identity") {
      fail("{}: wattle.rank.activation is {}; known are sigmoid and identity", model_->file().path().string(),
           function);
    }
    raw_ = options.head.raw_scores || function == "identity";
  }

 private:
  void set_value(std::span<const float> logits, Answer& answer) const override {
    answer.value = ScoreAnswer{raw_ ? logits[0] : sigmoid(logits[0])};
  }

  bool raw_;
};

}  // namespace

std::unique_ptr<Task> make_classify_by_own_head(std::unique_ptr<Model> model) {
  return std::make_unique<ClassifyByOwnHead>(std::move(model));
}

std::unique_ptr<Task> make_rank(std::unique_ptr<Model> model, const TaskOptions& options) {
  return std::make_unique<Rank>(std::move(model), options);
}

}  // namespace wattle::inline tasks
