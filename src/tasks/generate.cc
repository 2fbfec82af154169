#include <algorithm>
#include <utility>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "decode/defaults.h"
#include "decode/generation.h"
#include "tasks/kinds.h"
#include "tasks/prompts.h"

namespace wattle {
namespace {

constexpr int64_t kTokensByDefault = 128;

/// What was asked for, and the model's own defaults for the rest.
GenerationOptions options_of(const TaskOptions& task, const Model& model) {
  GenerationOptions options = task.generation;
  options.max_tokens = task.max_tokens > 0 ? task.max_tokens : kTokensByDefault;
  const int64_t vocabulary = model.decoder()->vocabulary();
  options =
      with_defaults(options, generation_defaults(model.metadata(), &model.tokenizer(), vocabulary).options);
  check(options, vocabulary);
  return options;
}

class Generate : public Task {
 public:
  Generate(std::unique_ptr<Model> model, const TaskOptions& options, const LoadOptions& load)
      : model_(std::move(model)),
        stream_(options.stream),
        options_(options_of(options, *model_)),
        prompts_(*model_, options, options.prompt_template.empty() ? "{text}" : options.prompt_template, " "),
        context_(context_of(*model_->decoder(), load)),
        generation_(*model_->decoder(), &model_->tokenizer(), {.capacity = context_}) {
    if (*options_.max_tokens >= context_) {
      fail(
          "an answer of {} tokens leaves no room for a prompt in a context of {}; ask for fewer tokens or a "
          "longer "
          "context",
          *options_.max_tokens, context_);
    }
  }

  /// Every row draws from its own generator with the same seed, so its text does not depend on the batch.
  std::vector<Answer> answer(std::span<const Row> rows) override {
    std::vector<Answer> answers(rows.size());
    std::vector<Prompt> prompts;
    log_.restart();
    for (size_t i = 0; i < rows.size(); ++i) {
      prompts.push_back(prompts_.make(rows[i].text, context_ - *options_.max_tokens));
      answers[i].truncation = prompts.back().truncation;
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    Times times;
    const std::vector<GenerationResult> results = generate(std::move(prompts), times);
    double prompt_tokens = 0, answer_tokens = 0;
    for (const GenerationResult& result : results) {
      prompt_tokens += static_cast<double>(result.computed_tokens);
      answer_tokens += static_cast<double>(result.answer_tokens + 1);
    }
    for (size_t i = 0; i < rows.size(); ++i) {
      answers[i].phases.prefill =
          times.prefill * static_cast<double>(results[i].computed_tokens) / prompt_tokens;
      answers[i].phases.decode =
          times.decode * static_cast<double>(results[i].answer_tokens + 1) / answer_tokens;
      fill(results[i], answers[i]);
      answers[i].phases.post = log_.end(Phase::kPost);
    }
    return answers;
  }

  nlohmann::ordered_json description() const override {
    nlohmann::ordered_json description = describe(model_->file());
    description["prompt"] = {{"chat", prompts_.chat()}};
    return description;
  }

 private:
  struct Times {
    double prefill = 0, decode = 0;
  };

  std::vector<GenerationResult> generate(std::vector<Prompt> prompts, Times& times) {
    std::vector<GenerationResult> results;
    try {
      std::vector<int64_t> handles;
      for (Prompt& prompt : prompts) handles.push_back(generation_.admit(std::move(prompt.tokens), options_));
      // The first step reads all prompts.
      Work prefill_work, decode_work;
      step(prompts.size() == 1, prefill_work);
      times.prefill = log_.end(Phase::kPrefill, prefill_work);
      while (!generation_.idle()) step(prompts.size() == 1, decode_work);
      times.decode = log_.end(Phase::kDecode, decode_work);
      for (const int64_t handle : handles) results.push_back(generation_.take(handle));
    } catch (...) {
      generation_.clear();
      throw;
    }
    return results;
  }

  void step(bool streams, Work& work) {
    throw_if_interrupted();
    for (const GenerationEvent& event : generation_.step(work)) {
      if (stream_ && streams && !event.text.empty()) stream_(event.text);
    }
  }

  static void fill(const GenerationResult& result, Answer& answer) {
    const Generated& best = result.answers.front();
    answer.work = result.prompt_work;
    answer.work += result.answer_work;
    answer.work.tokens_in = result.computed_tokens;
    answer.work.tokens_out = static_cast<int64_t>(best.ids.size());
    answer.fields["text"] = best.text;
    answer.fields["tokens_in"] = result.prompt_tokens;
    answer.fields["tokens_out"] = best.ids.size();
    answer.fields["stop"] = name(best.reason);
  }

  std::unique_ptr<Model> model_;
  std::function<void(std::string_view)> stream_;
  GenerationOptions options_;
  PromptMaker prompts_;
  int64_t context_;
  Generation generation_;
};

}  // namespace

std::unique_ptr<Task> make_generate(std::unique_ptr<Model> model, const TaskOptions& options,
                                    const LoadOptions& load) {
  return std::make_unique<Generate>(std::move(model), options, load);
}

}  // namespace wattle
