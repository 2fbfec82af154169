#include <utility>

#include <wattle/error.h>

#include "tasks/kinds.h"
#include "train/embedder.h"

namespace wattle::inline tasks {
namespace {

class Embed : public Task {
 public:
  Embed(std::unique_ptr<Model> model, const TaskOptions& options)
      : model_(std::move(model)), embedder_(*model_) {
    if (options.prompt && options.prompt_name)
      fail("a prompt is given twice, by its text and by its name; give one");
    if (options.prompt) embedder_.set_prompt(*options.prompt);
    if (options.prompt_name) embedder_.set_prompt_by_name(*options.prompt_name);
  }

  std::vector<Answer> answer(std::span<const Question> questions) override {
    const auto tokens = [&](size_t i, Truncation& truncation) {
      if (questions[i].ids() == nullptr) return embedder_.tokens_of(questions[i].text(), truncation);
      const auto ids = checked_ids(questions[i], *model_, embedder_.max_tokens());
      return std::vector<TokenId>(ids.begin(), ids.end());
    };
    const std::vector<EmbeddingRecord> records = embedder_.embed(questions.size(), tokens, embeddings_, log_);
    std::vector<Answer> answers(questions.size());
    for (size_t i = 0; i < questions.size(); ++i) {
      const auto row = std::as_const(embeddings_).row(static_cast<int64_t>(i));
      answers[i].value = VectorAnswer{{row.begin(), row.end()}, records[i].work.tokens_in};
      answers[i].work = records[i].work;
      answers[i].truncation = records[i].truncation;
      answers[i].phases = {records[i].tokenize, records[i].forward, 0,
                           records[i].pool + log_.end(Phase::kPost)};
    }
    return answers;
  }

  nlohmann::ordered_json description() const override { return describe(model_->file()); }

 private:
  std::unique_ptr<Model> model_;
  Embedder embedder_;
  Matrix embeddings_;
};

}  // namespace

std::unique_ptr<Task> make_embed(std::unique_ptr<Model> model, const TaskOptions& options) {
  return std::make_unique<Embed>(std::move(model), options);
}

}  // namespace wattle::inline tasks
