// What a model's layers give, one number for one of a reference library's: the tasks `hidden` and `logits`.
#include <utility>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "tasks/kinds.h"

namespace wattle::inline tasks {
namespace {

/// 1 GB of floats for one question.
constexpr int64_t kMostNumbers = int64_t{1} << 28;

/// A question as the network reads it.
struct Input {
  Ragged<TokenId> tokens;
  std::vector<int32_t> types;
  std::vector<TokenId> decoder_ids;

  int64_t length() const { return tokens.length(0); }
};

/// Answers questions one by one, so that their numbers are those of the sequence alone.
class RawNumbers : public Task {
 public:
  explicit RawNumbers(std::unique_ptr<Model> model) : model_(std::move(model)) {}

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers;
    log_.restart();
    for (const Question& question : questions) {
      throw_if_interrupted();
      Answer& answer = answers.emplace_back();
      const Input input = input_of(question);
      answer.phases.tokenize = log_.end(Phase::kTokenize);
      NumbersAnswer numbers = run(question, input, answer.work);
      answer.work.tokens_in = input.length();
      answer.phases.prefill = log_.end(Phase::kPrefill, answer.work);
      answer.value = std::move(numbers);
      answer.phases.post = log_.end(Phase::kPost);
    }
    return answers;
  }

  nlohmann::ordered_json description() const override { return describe(model_->file()); }

 protected:
  virtual NumbersAnswer run(const Question& question, const Input& input, Work& work) = 0;

  Input input_of(const Question& question) const {
    Input input;
    std::vector<TokenId> ids;
    if (const TokenIds* given = question.ids()) {
      ids = given->ids;
      input.types = given->type_ids;
      input.decoder_ids = given->decoder_ids;
    } else {
      ids = model_->tokenizer().encode(question.text());
    }
    if (ids.empty()) fail("row {}: the text has no tokens; give one that has", question.id);
    const auto* reader = model_->can<ReadsText>();
    check_ids(question, ids, *model_,
              reader != nullptr ? reader->max_tokens() : model_->can<ContinuesText>()->context_length());
    input.tokens.append(ids);
    return input;
  }

  static void check_size(const Question& question, int64_t rows, int64_t columns) {
    if (rows <= kMostNumbers / columns) return;
    fail("row {}: {} tokens would give {} numbers each, too many to write; give fewer", question.id, rows,
         columns);
  }

  static std::vector<float> copied(const Matrix& matrix) {
    return {matrix.data(), matrix.data() + matrix.rows() * matrix.columns()};
  }

  void read(const Question& question, const Input& input, Work& work) {
    auto& reader = *model_->can<ReadsText>();
    check_size(question, input.length(), reader.width());
    hidden_.resize(input.length(), reader.width());
    reader.hidden_states(input.tokens, input.types, hidden_.view(), work);
  }

  std::unique_ptr<Model> model_;
  Matrix hidden_;
};

class Hidden : public RawNumbers {
 public:
  using RawNumbers::RawNumbers;

 private:
  NumbersAnswer run(const Question& question, const Input& input, Work& work) override {
    if (!input.decoder_ids.empty()) {
      fail("row {}: hidden states are those of what reads the text; leave `decoder_ids` out", question.id);
    }
    read(question, input, work);
    return {{{"hidden", hidden_.columns(), copied(hidden_)}}};
  }
};

class Logits : public RawNumbers {
 public:
  using RawNumbers::RawNumbers;

 private:
  NumbersAnswer run(const Question& question, const Input& input, Work& work) override {
    const auto* head = model_->can<HasHead>();
    const bool own_head = head != nullptr && head->head_kind().has_value();
    const bool translates = !own_head && model_->can<Translates>() != nullptr;
    if (translates && input.decoder_ids.empty()) {
      fail("row {}: an encoder-decoder's logits follow decoder ids; give `decoder_ids` beside `ids`",
           question.id);
    }
    if (!translates && !input.decoder_ids.empty()) {
      fail("row {}: has decoder ids, which this model does not read; leave `decoder_ids` out", question.id);
    }
    if (own_head) return run_head(question, input, work);
    if (translates) return run_translator(question, input, work);
    if (!input.types.empty()) {
      fail("row {}: has type ids, which this model does not read; leave `type_ids` out", question.id);
    }
    return continued(question, *model_->decoder()->new_cache(input.length()), input.tokens.items, work);
  }

  NumbersAnswer run_head(const Question& question, const Input& input, Work& work) {
    auto& head = *model_->can<HasHead>();
    const NetworkHeadKind kind = *head.head_kind();
    check_size(question, input.length(), head.head_outputs());
    read(question, input, work);
    head.head(input.tokens, hidden_.view(), logits_, work);
    if (kind == NetworkHeadKind::kSpan) return {{column("start_logits", 0), column("end_logits", 1)}};
    const bool list = kind == NetworkHeadKind::kSequence || kind == NetworkHeadKind::kReplaced;
    return {{{"logits", list ? 0 : logits_.columns(), copied(logits_)}}};
  }

  Numbers column(std::string_view name, size_t index) const {
    Numbers numbers{name, 0, {}};
    for (int64_t i = 0; i < logits_.rows(); ++i) numbers.values.push_back(logits_.row(i)[index]);
    return numbers;
  }

  NumbersAnswer run_translator(const Question& question, const Input& input, Work& work) {
    check_ids(question, input.decoder_ids, *model_, model_->can<ContinuesText>()->context_length());
    const auto caches =
        model_->can<Translates>()->begin(input.tokens, static_cast<int64_t>(input.decoder_ids.size()), work);
    return continued(question, *caches.at(0), input.decoder_ids, work);
  }

  NumbersAnswer continued(const Question& question, KeyValueCache& cache, std::span<const TokenId> tokens,
                          Work& work) {
    auto& decoder = *model_->can<ContinuesText>();
    check_size(question, static_cast<int64_t>(tokens.size()), decoder.vocabulary());
    const DecoderInput part{&cache, tokens};
    decoder.forward({&part, 1}, LogitsWanted::kAll, logits_, work);
    return {{{"logits", logits_.columns(), copied(logits_)}}};
  }

  Matrix logits_;
};

}  // namespace

std::unique_ptr<Task> make_hidden(std::unique_ptr<Model> model) {
  if (model->can<ReadsText>() == nullptr) {
    fail("{}: a {} model gives no hidden states; ask for logits", model->file().path().string(),
         model->architecture());
  }
  return std::make_unique<Hidden>(std::move(model));
}

std::unique_ptr<Task> make_logits(std::unique_ptr<Model> model) {
  const auto* head = model->can<HasHead>();
  if (model->can<ContinuesText>() == nullptr && (head == nullptr || !head->head_kind())) {
    fail("{}: is an encoder whose file has no head; ask for hidden states", model->file().path().string());
  }
  return std::make_unique<Logits>(std::move(model));
}

}  // namespace wattle::inline tasks
