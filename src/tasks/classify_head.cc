#include <optional>
#include <utility>

#include "tasks/kinds.h"
#include "train/embedder.h"

namespace wattle {
namespace {

class ClassifyByHead : public Task {
 public:
  ClassifyByHead(Head head, std::string path, std::unique_ptr<Model> base)
      : head_(std::move(head)),
        labels_(std::make_shared<const std::vector<std::string>>(head_.labels())),
        path_(std::move(path)),
        base_(std::move(base)) {
    if (base_) embedder_.emplace(*base_);
  }

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    std::vector<EmbeddingRecord> records;
    if (embedder_) {
      records = embedder_->embed(
          questions.size(),
          [&](size_t i, Truncation& cut) { return embedder_->tokens_of(questions[i].text(), cut); },
          embeddings_, log_);
    } else {
      log_.restart();
    }
    for (size_t i = 0; i < questions.size(); ++i) {
      Answer& answer = answers[i];
      if (embedder_) {
        answer.work = records[i].work;
        answer.phases = {records[i].tokenize, records[i].forward, 0, records[i].pool};
        answer.truncation = records[i].truncation;
      }
      Work work;
      answer.value =
          label_of(embedder_ ? head_.predict(std::as_const(embeddings_).row(static_cast<int64_t>(i)), work)
                             : head_.predict(questions[i].text(), work));
      answer.work += work;
      answer.phases.post += log_.end(Phase::kPost, work);
    }
    return answers;
  }

  Answer answer_one(const Question& question) override {
    if (embedder_) return Task::answer_one(question);
    Answer answer;
    log_.restart();
    answer.value = label_of(head_.predict(question.text(), answer.work));
    answer.phases.post = log_.end(Phase::kPost, answer.work);
    return answer;
  }

  nlohmann::ordered_json description() const override { return describe(head_, path_, base_.get()); }

 private:
  LabelAnswer label_of(Prediction prediction) const {
    return {prediction.label, std::move(prediction.scores), labels_, {}};
  }

  Head head_;
  std::shared_ptr<const std::vector<std::string>> labels_;
  std::string path_;
  std::unique_ptr<Model> base_;
  std::optional<Embedder> embedder_;
  Matrix embeddings_;
};

}  // namespace

nlohmann::ordered_json describe(const Head& head, const std::string& path, const Model* base) {
  nlohmann::ordered_json description;
  description["path"] = path;
  description["architecture"] = Head::kArchitecture;
  description["kind"] = name(head.kind());
  description["features"] = head.features();
  description["parameters"] = head.parameters();
  const TrainingRecord& training = head.training();
  description["training"] = {{"rows", training.rows},
                             {"seed", training.seed},
                             {"cost", training.cost},
                             {"seconds", training.seconds},
                             {"joules", training.joules},
                             {"joules_low", training.joules_low},
                             {"joules_high", training.joules_high},
                             {"grade", training.grade}};
  if (base != nullptr) {
    description["base"] = describe(base->file());
    description["bits_per_weight"] = description["base"]["bits_per_weight"];
  }
  return description;
}

std::unique_ptr<Task> make_classify_by_head(Head head, std::string path, std::unique_ptr<Model> base) {
  return std::make_unique<ClassifyByHead>(std::move(head), std::move(path), std::move(base));
}

}  // namespace wattle
