#include <utility>

#include "tasks/kinds.h"
#include "train/embedder.h"

namespace wattle::inline tasks {
namespace {

using Labels = std::shared_ptr<const std::vector<std::string>>;

void set_value(Prediction prediction, const Labels& labels, Answer& answer) {
  if (labels->empty()) {
    answer.value = ScoreAnswer{prediction.number};
  } else {
    answer.value = LabelAnswer{prediction.label, std::move(prediction.scores), labels, {}};
  }
}

/// A head on the embeddings of a model.
class ClassifyByEmbedding : public Task {
 public:
  ClassifyByEmbedding(Head head, std::string path, std::unique_ptr<Model> base)
      : head_(std::move(head)),
        labels_(std::make_shared<const std::vector<std::string>>(head_.labels())),
        path_(std::move(path)),
        base_(std::move(base)),
        embedder_(*base_) {}

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    const std::vector<EmbeddingRecord> records = embedder_.embed(
        questions.size(),
        [&](size_t i, Truncation& cut) { return embedder_.tokens_of(questions[i].text(), cut); }, embeddings_,
        log_);
    for (size_t i = 0; i < questions.size(); ++i) {
      Answer& answer = answers[i];
      answer.work = records[i].work;
      answer.truncation = records[i].truncation;
      Work work;
      set_value(head_.predict(std::as_const(embeddings_).row(static_cast<int64_t>(i)), work), labels_,
                answer);
      answer.work += work;
      answer.phases = {records[i].tokenize, records[i].forward, 0,
                       records[i].pool + log_.end(Phase::kPost, work)};
    }
    return answers;
  }

  nlohmann::ordered_json description() const override { return describe(head_, path_, base_.get()); }

 private:
  Head head_;
  Labels labels_;
  std::string path_;
  std::unique_ptr<Model> base_;
  Embedder embedder_;
  Matrix embeddings_;
};

/// A head that reads texts or rows itself. Its answers take from some ten nanoseconds to some microseconds,
/// so the clock is read once a batch, whose time the rows share evenly.
class ClassifyByHead : public Task {
 public:
  ClassifyByHead(Head head, std::string path)
      : head_(std::move(head)),
        labels_(std::make_shared<const std::vector<std::string>>(head_.labels())),
        path_(std::move(path)) {}

  std::vector<Answer> answer(std::span<const Question> questions) override {
    log_.restart_single();
    std::vector<Answer> answers(questions.size());
    Work all;
    for (size_t i = 0; i < questions.size(); ++i) {
      set_value(predict(questions[i], answers[i].work), labels_, answers[i]);
      all += answers[i].work;
    }
    const double seconds = log_.end_single(Phase::kPost, all) / static_cast<double>(answers.size());
    for (Answer& answer : answers) answer.phases.post = seconds;
    return answers;
  }

  Answer answer_one(const Question& question) override {
    log_.restart_single();
    Answer answer;
    set_value(predict(question, answer.work), labels_, answer);
    answer.phases.post = log_.end_single(Phase::kPost, answer.work);
    return answer;
  }

  nlohmann::ordered_json description() const override { return describe(head_, path_, nullptr); }

 private:
  Prediction predict(const Question& question, Work& work) {
    if (head_.unit() == HeadUnit::kRow) return head_.predict(question.table_row(), row_name(question), work);
    return head_.predict(question.text(), work);
  }
  /// For error sentences; a view of memory that is kept.
  std::string_view row_name(const Question& question) {
    row_name_ = "row ";
    return row_name_ += question.id;
  }

  Head head_;
  Labels labels_;
  std::string path_, row_name_;
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
  if (base == nullptr) return std::make_unique<ClassifyByHead>(std::move(head), std::move(path));
  return std::make_unique<ClassifyByEmbedding>(std::move(head), std::move(path), std::move(base));
}

}  // namespace wattle::inline tasks
