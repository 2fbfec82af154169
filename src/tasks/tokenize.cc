#include <utility>

#include "families/open_file.h"
#include "tasks/kinds.h"

namespace wattle::inline tasks {
namespace {

class Tokenize : public Task {
 public:
  Tokenize(const std::string& path, bool parse_special)
      : file_(open_model_file(path)),
        tokenizer_(Tokenizer::create(file_.metadata())),
        options_{.add_special = true, .parse_special = parse_special} {
    notes_ = tokenizer_->notes();
  }

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    log_.restart();
    for (size_t i = 0; i < questions.size(); ++i) {
      const TokenIds* given = questions[i].ids();
      std::vector<TokenId> ids =
          given != nullptr ? given->ids : tokenizer_->encode(questions[i].text(), options_);
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
      answers[i].work.tokens_in = static_cast<int64_t>(ids.size());
      answers[i].value = TokensAnswer{std::move(ids)};
      answers[i].phases.post = log_.end(Phase::kPost);
    }
    return answers;
  }

  nlohmann::ordered_json description() const override {
    nlohmann::ordered_json description = describe(file_);
    description["tokenizer"] = tokenizer_->kind();
    description["vocabulary"] = tokenizer_->size();
    return description;
  }

 private:
  ModelFile file_;
  std::unique_ptr<Tokenizer> tokenizer_;
  EncodeOptions options_;
};

}  // namespace

std::unique_ptr<Task> make_tokenize(const std::string& model_path, const TaskOptions& options) {
  return std::make_unique<Tokenize>(model_path, options.parse_special);
}

}  // namespace wattle::inline tasks
