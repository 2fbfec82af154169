#include <utility>

#include "families/open_file.h"
#include "tasks/kinds.h"

namespace wattle {
namespace {

class Tokenize : public Task {
 public:
  Tokenize(const std::string& path, bool parse_special)
      : file_(open_model_file(path)),
        tokenizer_(Tokenizer::create(file_.metadata())),
        options_{.add_special = true, .parse_special = parse_special} {}

  std::vector<Answer> answer(std::span<const Row> rows) override {
    std::vector<Answer> answers(rows.size());
    log_.restart();
    for (size_t i = 0; i < rows.size(); ++i) {
      const std::vector<TokenId> ids = tokenizer_->encode(rows[i].text, options_);
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
      answers[i].work.tokens_in = static_cast<int64_t>(ids.size());
      answers[i].fields["ids"] = ids;
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

}  // namespace wattle
