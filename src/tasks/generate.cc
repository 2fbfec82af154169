#include <algorithm>
#include <numeric>
#include <utility>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/utf8.h"
#include "decode/sampler.h"
#include "tasks/kinds.h"
#include "tasks/prompts.h"

namespace wattle {
namespace {

constexpr int64_t kTokensByDefault = 128;

/// A text that grows token by token.
struct Sequence {
  Sampler sampler;
  std::vector<TokenId> ids;
  size_t streamed = 0;  ///< bytes of the text that the stream has seen
  bool ended = false;   ///< by an end token
  bool active = true;
};

class Generate : public Task {
 public:
  Generate(std::unique_ptr<Model> model, const TaskOptions& options, const LoadOptions& load)
      : model_(std::move(model)),
        options_(options),
        max_tokens_(options.max_tokens > 0 ? options.max_tokens : kTokensByDefault),
        prompts_(*model_, options, options.prompt_template.empty() ? "{text}" : options.prompt_template, " "),
        caches_(*model_->decoder(), context_of(*model_->decoder(), load)) {
    if (max_tokens_ >= caches_.capacity()) {
      fail("--max-tokens {}: leaves no room for a prompt in a context of {}; lower it or raise --context",
           max_tokens_, caches_.capacity());
    }
    Sampler checked(sampler_options());
  }

  std::vector<Answer> answer(std::span<const Question> rows) override {
    std::vector<Answer> answers(rows.size());
    std::vector<Prompt> prompts;
    log_.restart();
    for (size_t i = 0; i < rows.size(); ++i) {
      prompts.push_back(prompts_.make(rows[i], caches_.capacity() - max_tokens_));
      answers[i].truncation = prompts.back().truncation;
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    Work prefill_work, decode_work;
    const std::vector<int64_t> computed = caches_.run(prompts, logits_, prefill_work);
    const double prefill = log_.end(Phase::kPrefill, prefill_work);
    const std::vector<Sequence> sequences = decode(rows.size(), decode_work);
    const double decode_seconds = log_.end(Phase::kDecode, decode_work);

    const auto prompt_total =
        static_cast<double>(std::accumulate(computed.begin(), computed.end(), int64_t{0}));
    double decoded_total = 0;
    for (const Sequence& sequence : sequences) decoded_total += static_cast<double>(sequence.ids.size() + 1);
    for (size_t i = 0; i < rows.size(); ++i) {
      const double prompt_share = static_cast<double>(computed[i]) / prompt_total;
      const double decode_share = static_cast<double>(sequences[i].ids.size() + 1) / decoded_total;
      Answer& answer = answers[i];
      answer.work = prefill_work.part(prompt_share);
      answer.work += decode_work.part(decode_share);
      answer.work.tokens_in = computed[i];
      answer.work.tokens_out = static_cast<int64_t>(sequences[i].ids.size());
      answer.phases.prefill = prefill * prompt_share;
      answer.phases.decode = decode_seconds * decode_share;
      answer.value = answer_of(sequences[i], rows[i], prompts[i]);
      answer.phases.post = log_.end(Phase::kPost);
    }
    return answers;
  }

  nlohmann::ordered_json description() const override {
    nlohmann::ordered_json description = describe(model_->file());
    description["prompt"] = {{"chat", prompts_.chat()}};
    return description;
  }

 private:
  TextAnswer answer_of(const Sequence& sequence, const Question& question, const Prompt& prompt) const {
    TextAnswer answer;
    if (model_->has_tokenizer()) answer.text = repaired_utf8(model_->tokenizer().decode(sequence.ids));
    if (question.ids() != nullptr) answer.ids = sequence.ids;
    answer.tokens_in = static_cast<int64_t>(prompt.tokens.size());
    answer.tokens_out = static_cast<int64_t>(sequence.ids.size());
    answer.stop = sequence.ended ? Stop::kEnd : Stop::kLength;
    return answer;
  }

  bool ends(TokenId id) const {
    if (model_->has_tokenizer()) return model_->tokenizer().ends_generation(id);
    return id == model_->metadata().integer("tokenizer.ggml.eos_token_id");
  }

  SamplerOptions sampler_options() const {
    return {options_.temperature, options_.top_k, options_.top_p, options_.min_p, options_.seed};
  }

  /// Every row draws from its own generator with the same seed, so its text does not depend on the batch.
  std::vector<Sequence> decode(size_t rows, Work& work) {
    std::vector<Sequence> sequences;
    std::vector<size_t> active(rows);
    std::iota(active.begin(), active.end(), size_t{0});
    for (size_t i = 0; i < rows; ++i) sequences.push_back({Sampler(sampler_options()), {}});
    while (true) {
      throw_if_interrupted();
      for (size_t a = 0; a < active.size(); ++a) {
        take(sequences[active[a]], logits_.row(static_cast<int64_t>(a)), rows == 1);
      }
      std::erase_if(active, [&](size_t i) { return !sequences[i].active; });
      if (active.empty()) return sequences;
      std::vector<std::vector<TokenId>> next;
      for (const size_t i : active) next.push_back({sequences[i].ids.back()});
      caches_.advance(active, next, LogitsWanted::kLast, logits_, work);
    }
  }

  void take(Sequence& sequence, std::span<const float> logits, bool streams) {
    const TokenId id = sequence.sampler.next(logits);
    if (ends(id)) {
      sequence.ended = true;
      sequence.active = false;
    } else {
      sequence.ids.push_back(id);
      sequence.active = static_cast<int64_t>(sequence.ids.size()) < max_tokens_;
    }
    if (!streams || !options_.stream || !model_->has_tokenizer()) return;
    const std::string text = model_->tokenizer().decode(sequence.ids);
    const std::string_view whole = sequence.active ? whole_characters(text) : std::string_view(text);
    if (whole.size() > sequence.streamed) options_.stream(whole.substr(sequence.streamed));
    sequence.streamed = std::max(sequence.streamed, whole.size());
  }

  std::unique_ptr<Model> model_;
  TaskOptions options_;
  int64_t max_tokens_;
  PromptMaker prompts_;
  PromptCaches caches_;
  Matrix logits_;
};

}  // namespace

std::unique_ptr<Task> make_generate(std::unique_ptr<Model> model, const TaskOptions& options,
                                    const LoadOptions& load) {
  return std::make_unique<Generate>(std::move(model), options, load);
}

}  // namespace wattle
