#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "tasks/kinds.h"
#include "tasks/prompts.h"

namespace wattle::inline tasks {
namespace {

constexpr const char* kDefaultTemplate = "Classify the text as one of: {labels}.\n\nText: {text}\nLabel:";
constexpr const char* kTemplateOfChoices = "Question: {text}\nAnswer:";

std::string instruction_of(const TaskOptions& options) {
  if (options.choices) {
    return options.prompt_template.empty() ? kTemplateOfChoices : options.prompt_template;
  }
  if (options.labels.size() < 2)
    fail("--task classify: give at least two labels with --labels, or run a trained head");
  std::string instruction = options.prompt_template.empty() ? kDefaultTemplate : options.prompt_template;
  constexpr std::string_view kLabels = "{labels}";
  if (const size_t place = instruction.find(kLabels); place != std::string::npos) {
    instruction.replace(place, kLabels.size(), fmt::format("{}", fmt::join(options.labels, ", ")));
  }
  return instruction;
}

/// Labels, and the tokens that say each of them after a prompt.
struct LabelWords {
  std::shared_ptr<const std::vector<std::string>> names;
  std::vector<std::vector<TokenId>> tokens;
  size_t longest = 0;
};

class ClassifyByLikelihood : public Task {
 public:
  ClassifyByLikelihood(std::unique_ptr<Model> model, const TaskOptions& options, const LoadOptions& load)
      : model_(std::move(model)),
        choices_(options.choices),
        normalise_length_(options.normalise_length),
        prompts_(*model_, options, instruction_of(options), " "),
        caches_(*model_->decoder(), context_of(*model_->decoder(), load)) {
    for (const auto& [text, label] : options.examples) {
      if (!choices_ && std::ranges::find(options.labels, label) == options.labels.end()) {
        fail("--example: label '{}' is none of {}", label, fmt::join(options.labels, ", "));
      }
    }
    if (!choices_) labels_ = words_of(options.labels);
  }

  std::vector<Answer> answer(std::span<const Question> rows) override {
    throw_if_interrupted();
    std::vector<Answer> answers(rows.size());
    std::vector<Prompt> prompts;
    std::vector<LabelWords> own;  // of questions that bring their labels
    std::vector<const LabelWords*> words(rows.size(), &labels_);
    own.reserve(rows.size());
    log_.restart();
    for (size_t i = 0; i < rows.size(); ++i) {
      const MultipleChoice* asked = choices_of(rows[i]);
      if (asked != nullptr) words[i] = &own.emplace_back(words_of(asked->choices));
      const int64_t limit = caches_.capacity() - static_cast<int64_t>(words[i]->longest);
      prompts.push_back(asked == nullptr ? prompts_.make(rows[i], limit)
                                         : prompts_.make({rows[i].id, asked->question}, limit));
      answers[i].truncation = prompts.back().truncation;
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    Work work, label_work;
    const std::vector<int64_t> computed = caches_.run(prompts, logits_, work);
    const double prefill = log_.end(Phase::kPrefill, work);
    std::vector<std::vector<double>> likelihoods(rows.size());
    score_labels(words, likelihoods, label_work);
    const double decode = log_.end(Phase::kDecode, label_work);
    work += label_work;

    const auto total = static_cast<double>(std::accumulate(computed.begin(), computed.end(), int64_t{0}));
    for (size_t i = 0; i < rows.size(); ++i) {
      const double share = static_cast<double>(computed[i]) / total;
      answers[i].work = work.part(share);
      answers[i].work.tokens_in = computed[i];
      answers[i].phases.prefill = prefill * share;
      answers[i].phases.decode = decode / static_cast<double>(rows.size());
      answers[i].value = answer_of(*words[i], likelihoods[i], static_cast<int64_t>(prompts[i].tokens.size()));
      answers[i].phases.post = log_.end(Phase::kPost);
    }
    return answers;
  }

  nlohmann::ordered_json description() const override {
    nlohmann::ordered_json description = describe(model_->file());
    description["prompt"] = {{"chat", prompts_.chat()}, {"normalise_length", normalise_length_}};
    return description;
  }

 private:
  LabelWords words_of(const std::vector<std::string>& labels) const {
    LabelWords words{std::make_shared<const std::vector<std::string>>(labels), {}, 0};
    for (const std::string& label : labels) {
      words.tokens.push_back(prompts_.continuation(label));
      words.longest = std::max(words.longest, words.tokens.back().size());
    }
    return words;
  }

  /// Null where the labels are the task's. Error for a question of the other kind.
  const MultipleChoice* choices_of(const Question& question) const {
    const auto* asked = std::get_if<MultipleChoice>(&question.content);
    if (asked == nullptr && choices_)
      fail("row {}: brings no choices; give `choices`, or labels for all rows", question.id);
    if (asked != nullptr && !choices_)
      fail("row {}: brings its own choices, and labels for all rows are given; leave one out", question.id);
    return asked;
  }

  /// likelihoods[row][label] = ln p of the label's tokens after the row's prompt. The prompts' logits give
  /// the first token of every label; the rest of a label runs for all rows at once and is then forgotten.
  void score_labels(std::span<const LabelWords* const> words, std::vector<std::vector<double>>& likelihoods,
                    Work& work) {
    size_t most = 0;
    for (size_t i = 0; i < words.size(); ++i) {
      most = std::max(most, words[i]->tokens.size());
      for (const auto& tokens : words[i]->tokens) {
        likelihoods[i].push_back(log_probability(logits_.row(static_cast<int64_t>(i)), tokens.front()));
      }
    }
    for (size_t k = 0; k < most; ++k) {
      std::vector<size_t> slots;
      std::vector<std::vector<TokenId>> inputs;
      for (size_t i = 0; i < words.size(); ++i) {
        if (k >= words[i]->tokens.size() || words[i]->tokens[k].size() == 1) continue;
        const std::vector<TokenId>& tokens = words[i]->tokens[k];
        slots.push_back(i);
        inputs.emplace_back(tokens.begin(), tokens.end() - 1);
      }
      if (slots.empty()) continue;
      caches_.advance(slots, inputs, LogitsWanted::kAll, logits_, work);
      int64_t row = 0;
      for (const size_t i : slots) {
        const std::vector<TokenId>& tokens = words[i]->tokens[k];
        for (size_t t = 1; t < tokens.size(); ++t)
          likelihoods[i][k] += log_probability(logits_.row(row++), tokens[t]);
        caches_.rewind(i);
      }
    }
  }

  LabelAnswer answer_of(const LabelWords& words, std::vector<double> likelihoods, int64_t tokens_in) const {
    if (normalise_length_) {
      for (size_t k = 0; k < likelihoods.size(); ++k)
        likelihoods[k] /= static_cast<double>(words.tokens[k].size());
    }
    const auto best = std::max_element(likelihoods.begin(), likelihoods.end());
    std::vector<float> scores;
    double sum = 0;
    for (const double likelihood : likelihoods) sum += std::exp(likelihood - *best);
    for (const double likelihood : likelihoods)
      scores.push_back(static_cast<float>(std::exp(likelihood - *best) / sum));
    return {static_cast<int>(best - likelihoods.begin()), std::move(scores), words.names, tokens_in};
  }

  std::unique_ptr<Model> model_;
  bool choices_;
  bool normalise_length_;
  PromptMaker prompts_;
  PromptCaches caches_;
  LabelWords labels_;  ///< of all questions, unless they bring their own
  Matrix logits_;
};

}  // namespace

std::unique_ptr<Task> make_classify_by_likelihood(std::unique_ptr<Model> model, const TaskOptions& options,
                                                  const LoadOptions& load) {
  return std::make_unique<ClassifyByLikelihood>(std::move(model), options, load);
}

}  // namespace wattle::inline tasks
