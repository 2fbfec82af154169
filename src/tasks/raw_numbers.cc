// What a model's layers give, one number for one of a reference library's: the tasks `hidden` and `logits`.
#include <utility>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "tasks/kinds.h"
#include "tasks/prompts.h"

namespace wattle {
namespace {

/// 1 GB of floats for one question.
constexpr int64_t kMostNumbers = int64_t{1} << 28;

/// Runs questions one by one, so that their numbers are those of the sequence alone.
class RawNumbers : public Task {
 public:
  RawNumbers(std::unique_ptr<Model> model, std::string_view name, int64_t columns, int64_t limit)
      : model_(std::move(model)), name_(name), columns_(columns), limit_(limit) {}

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers;
    log_.restart();
    for (const Question& question : questions) {
      throw_if_interrupted();
      Answer& answer = answers.emplace_back();
      const std::vector<TokenId> tokens = tokens_of(question);
      answer.phases.tokenize = log_.end(Phase::kTokenize);
      run(tokens, answer.work);
      answer.work.tokens_in = static_cast<int64_t>(tokens.size());
      answer.phases.prefill = log_.end(Phase::kPrefill, answer.work);
      answer.value =
          MatrixAnswer{name_, out_.rows(), columns_, {out_.data(), out_.data() + out_.rows() * columns_}};
      answer.phases.post = log_.end(Phase::kPost);
    }
    return answers;
  }

  nlohmann::ordered_json description() const override { return describe(model_->file()); }

 private:
  std::vector<TokenId> tokens_of(const Question& question) const {
    std::vector<TokenId> tokens;
    if (question.ids() != nullptr) {
      const auto ids = checked_ids(question, *model_, limit_);
      tokens.assign(ids.begin(), ids.end());
    } else {
      tokens = model_->tokenizer().encode(question.text());
    }
    const auto count = static_cast<int64_t>(tokens.size());
    if (count == 0) fail("row {}: the text has no tokens; give one that has", question.id);
    if (count > limit_) {
      fail("row {}: has {} tokens, more than the {} that the model reads; give fewer", question.id, count,
           limit_);
    }
    if (count > kMostNumbers / columns_) {
      fail("row {}: its {} tokens would give {} numbers each, too many to write; give fewer", question.id,
           count, columns_);
    }
    return tokens;
  }

  void run(const std::vector<TokenId>& tokens, Work& work) {
    if (model_->encoder() != nullptr) {
      Ragged<TokenId> sequence;
      sequence.append(tokens);
      out_.resize(static_cast<int64_t>(tokens.size()), columns_);
      model_->encoder()->hidden_states(sequence, out_.view(), work);
      return;
    }
    const auto cache = model_->decoder()->new_cache(static_cast<int64_t>(tokens.size()));
    const DecoderInput input{cache.get(), tokens};
    model_->decoder()->forward({&input, 1}, LogitsWanted::kAll, out_, work);
  }

  std::unique_ptr<Model> model_;
  std::string_view name_;
  int64_t columns_, limit_;
  Matrix out_;
};

}  // namespace

std::unique_ptr<Task> make_hidden(std::unique_ptr<Model> model) {
  if (model->encoder() == nullptr) {
    fail("{}: a {} model gives no hidden states here; ask for logits", model->file().path().string(),
         model->architecture());
  }
  const int64_t width = model->encoder()->width(), limit = model->encoder()->max_tokens();
  return std::make_unique<RawNumbers>(std::move(model), "hidden", width, limit);
}

std::unique_ptr<Task> make_logits(std::unique_ptr<Model> model) {
  const int64_t vocabulary = model->decoder()->vocabulary(), limit = model->decoder()->context_length();
  return std::make_unique<RawNumbers>(std::move(model), "logits", vocabulary, limit);
}

}  // namespace wattle
