#include <algorithm>
#include <utility>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "decode/defaults.h"
#include "decode/generation.h"
#include "tasks/kinds.h"
#include "tasks/prompts.h"
#include "tasks/rewording.h"

namespace wattle::inline tasks {
namespace {

constexpr int64_t kTokensByDefault = 128;

const Tokenizer* tokenizer_of(const Model& model) {
  return model.has_tokenizer() ? &model.tokenizer() : nullptr;
}

/// Whether an answer's language is its first token, and not the one after that.
bool begins_with_language(const Rewording& rewording, std::optional<TokenId> start) {
  return !rewording.languages.empty() && (!start || std::ranges::binary_search(rewording.languages, *start));
}

/// What was asked for, and the model's own defaults for the rest. How long a text may be is the model's
/// business only where it reads one and writes another.
GenerationOptions options_of(const TaskOptions& task, const Model& model, const Rewording& rewording,
                             const GenerationOptions& defaults, std::optional<TokenId> start) {
  GenerationOptions options = task.generation;
  if (rewording.target && !begins_with_language(rewording, start)) options.forced_bos = rewording.target;
  if (task.max_tokens > 0) options.max_tokens = task.max_tokens;
  const bool model_decides =
      model.can<Translates>() != nullptr && (defaults.max_tokens || defaults.max_length);
  if (!options.max_tokens && !model_decides) options.max_tokens = kTokensByDefault;
  options = with_defaults(options, defaults);
  check(options, model.decoder()->vocabulary());
  return options;
}

/// The part of a batch's time or work that is a row's.
double share(int64_t part, int64_t all) {
  return all > 0 ? static_cast<double>(part) / static_cast<double>(all) : 0;
}

class Generate : public Task {
 public:
  Generate(std::unique_ptr<Model> model, Rewording rewording, const TaskOptions& options,
           const LoadOptions& load)
      : model_(std::move(model)),
        rewording_(std::move(rewording)),
        stream_(options.stream),
        parse_special_(options.parse_special),
        defaults_(generation_defaults(model_->metadata(), tokenizer_of(*model_),
                                      model_->decoder()->vocabulary(), rewording_.defaults)),
        options_(options_of(options, *model_, rewording_, defaults_.options, defaults_.decoder_start)),
        prompts_(*model_, options,
                 options.prompt_template.empty() ? rewording_.instruction : options.prompt_template, " "),
        context_(context_of(*model_->decoder(), load)),
        generation_(*model_->decoder(), tokenizer_of(*model_), {.capacity = context_}) {
    if (options_.max_tokens && *options_.max_tokens >= context_) {
      fail(
          "an answer of {} tokens leaves no room for a prompt in a context of {}; ask for fewer tokens or a "
          "longer "
          "context",
          *options_.max_tokens, context_);
    }
  }

  /// Every row draws from its own generator with the same seed, so its text does not depend on the batch.
  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    std::vector<Prompt> prompts;
    log_.restart();
    for (size_t i = 0; i < questions.size(); ++i) {
      prompts.push_back(prompt_of(questions[i]));
      answers[i].truncation = prompts.back().truncation;
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    Batch batch;
    try {
      generate(questions, prompts, batch);
    } catch (...) {
      generation_.clear();
      throw;
    }
    int64_t read = 0, written = 0;
    for (const GenerationResult& result : batch.results) {
      read += result.computed_tokens;
      written += result.answer_tokens + 1;
    }
    for (size_t i = 0; i < questions.size(); ++i) {
      const GenerationResult& result = batch.results[i];
      answers[i].phases.prefill = batch.prefill * share(result.computed_tokens, read);
      answers[i].phases.decode = batch.decode * share(result.answer_tokens + 1, written);
      answers[i].work = result.prompt_work;
      answers[i].work += result.answer_work;
      answers[i].work.tokens_in = result.computed_tokens;
      answers[i].work.tokens_out = static_cast<int64_t>(result.answers.front().ids.size());
      answers[i].value = text_answer(result, questions[i]);
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
  Translates* translator() const { return model_->can<Translates>(); }

  /// What a decoder continues, or what the encoder of an encoder-decoder reads.
  Prompt prompt_of(const Question& question) const {
    if (translator() == nullptr) return prompts_.make(question, context_ - *options_.max_tokens);
    const int64_t limit = model_->can<ReadsText>()->max_tokens();
    if (question.ids() != nullptr) {
      if (!question.ids()->type_ids.empty()) {
        fail("row {}: has type ids, which this model does not read; leave `type_ids` out", question.id);
      }
      check_ids(question, question.ids()->ids, *model_, limit);
      return {question.ids()->ids, {}};
    }
    Prompt prompt{source_of(question.text()), {}};
    const auto tokens = static_cast<int64_t>(prompt.tokens.size());
    if (tokens > limit) {
      // The token that closes a text stays.
      prompt.tokens.erase(prompt.tokens.begin() + static_cast<std::ptrdiff_t>(limit - 1),
                          prompt.tokens.end() - 1);
      prompt.truncation = {tokens, limit};
    }
    return prompt;
  }

  /// What the encoder reads of a text: with the words before it that the task has, and its own language's
  /// token in the place of the one that the tokenizer puts.
  std::vector<TokenId> source_of(const std::string& text) const {
    std::vector<TokenId> ids = model_->tokenizer().encode(
        rewording_.prefix + text, {.add_special = true, .parse_special = parse_special_});
    if (rewording_.source && !ids.empty()) {
      const auto is_language = [&](TokenId id) {
        return std::ranges::binary_search(rewording_.languages, id);
      };
      if (is_language(ids.front())) {
        ids.front() = *rewording_.source;
      } else if (is_language(ids.back())) {
        ids.back() = *rewording_.source;
      } else {
        fail(
            "{}: its tokenizer puts no token for a text's language; leave the language to translate from out",
            model_->file().path().string());
      }
    }
    return ids;
  }

  /// The tokens that an encoder-decoder's answer begins with.
  std::vector<TokenId> beginning_of(const Question& question) const {
    if (question.ids() != nullptr && !question.ids()->decoder_ids.empty()) return question.ids()->decoder_ids;
    if (rewording_.target && begins_with_language(rewording_, defaults_.decoder_start))
      return {*rewording_.target};
    if (!defaults_.decoder_start) {
      fail("{}: does not say which token an answer begins with (decoder_start_token_id); give decoder_ids",
           model_->file().path().string());
    }
    return {*defaults_.decoder_start};
  }

  struct Batch {
    std::vector<GenerationResult> results;
    double prefill = 0, decode = 0;  ///< seconds
  };

  void generate(std::span<const Question> questions, std::vector<Prompt>& prompts, Batch& batch) {
    Work prefill_work, decode_work, encoder_work;
    std::vector<int64_t> handles;
    if (translator() == nullptr) {
      for (Prompt& prompt : prompts) handles.push_back(generation_.admit(std::move(prompt.tokens), options_));
    } else {
      handles = admit_translations(questions, prompts, encoder_work);
    }
    // The first step reads all prompts.
    prefill_work = encoder_work;
    step(questions.size() == 1, prefill_work);
    batch.prefill = log_.end(Phase::kPrefill, prefill_work);
    while (!generation_.idle()) step(questions.size() == 1, decode_work);
    batch.decode = log_.end(Phase::kDecode, decode_work);
    for (const int64_t handle : handles) batch.results.push_back(generation_.take(handle));
    if (translator() != nullptr) add_sources(prompts, encoder_work, batch.results);
  }

  std::vector<int64_t> admit_translations(std::span<const Question> questions,
                                          std::span<const Prompt> prompts, Work& work) {
    Ragged<TokenId> sources;
    for (const Prompt& prompt : prompts) sources.append(prompt.tokens);
    std::vector<int32_t> global(rewording_.first_is_global ? sources.items.size() : 0, 0);
    for (int64_t i = 0; rewording_.first_is_global && i < sources.sequences(); ++i)
      global[static_cast<size_t>(sources.offsets[static_cast<size_t>(i)])] = 1;
    auto caches = translator()->begin(sources, TokenMarks{.global = global}, context_, work);
    std::vector<int64_t> handles;
    for (size_t i = 0; i < questions.size(); ++i) {
      handles.push_back(
          generation_.admit(std::move(caches[i]), beginning_of(questions[i]), options_, prompts[i].tokens));
    }
    return handles;
  }

  /// What was read for an answer is the source, not the decoder's first token.
  static void add_sources(std::span<const Prompt> prompts, const Work& work,
                          std::span<GenerationResult> results) {
    int64_t all = 0;
    for (const Prompt& prompt : prompts) all += static_cast<int64_t>(prompt.tokens.size());
    for (size_t i = 0; i < results.size(); ++i) {
      const auto tokens = static_cast<int64_t>(prompts[i].tokens.size());
      results[i].prompt_work += work.part(share(tokens, all));
      results[i].prompt_tokens = results[i].computed_tokens = tokens;
    }
  }

  void step(bool streams, Work& work) {
    throw_if_interrupted();
    for (const GenerationEvent& event : generation_.step(work)) {
      if (stream_ && streams && !event.text.empty()) stream_(event.text);
    }
  }

  TextAnswer text_answer(const GenerationResult& result, const Question& question) const {
    const Generated& best = result.answers.front();
    TextAnswer answer;
    if (model_->has_tokenizer()) answer.text = best.text;
    if (question.ids() != nullptr) answer.ids = best.ids;
    answer.tokens_in = result.prompt_tokens;
    answer.tokens_out = static_cast<int64_t>(best.ids.size());
    answer.stop = best.reason;
    return answer;
  }

  std::unique_ptr<Model> model_;
  Rewording rewording_;
  std::function<void(std::string_view)> stream_;
  bool parse_special_;
  GenerationDefaults defaults_;
  GenerationOptions options_;
  PromptMaker prompts_;
  int64_t context_;
  Generation generation_;
};

}  // namespace

std::unique_ptr<Task> make_generate(std::unique_ptr<Model> model, const TaskOptions& options,
                                    const LoadOptions& load) {
  return std::make_unique<Generate>(std::move(model), Rewording(), options, load);
}

std::unique_ptr<Task> make_summarise(std::unique_ptr<Model> model, const TaskOptions& options,
                                     const LoadOptions& load) {
  Rewording rewording = summarising(*model, options);
  return std::make_unique<Generate>(std::move(model), std::move(rewording), options, load);
}

std::unique_ptr<Task> make_translate(std::unique_ptr<Model> model, const TaskOptions& options,
                                     const LoadOptions& load) {
  Rewording rewording = translating(*model, options);
  return std::make_unique<Generate>(std::move(model), std::move(rewording), options, load);
}

}  // namespace wattle::inline tasks
