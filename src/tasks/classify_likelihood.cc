#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/interrupt.h"
#include "tasks/kinds.h"
#include "tasks/prompts.h"

namespace wattle {
namespace {

constexpr const char* kDefaultTemplate = "Classify the text as one of: {labels}.\n\nText: {text}\nLabel:";

std::string instruction_of(const TaskOptions& options) {
  if (options.labels.size() < 2)
    fail("--task classify: give at least two labels with --labels, or run a trained head");
  std::string instruction = options.prompt_template.empty() ? kDefaultTemplate : options.prompt_template;
  constexpr std::string_view kLabels = "{labels}";
  if (const size_t place = instruction.find(kLabels); place != std::string::npos) {
    instruction.replace(place, kLabels.size(), fmt::format("{}", fmt::join(options.labels, ", ")));
  }
  return instruction;
}

class ClassifyByLikelihood : public Task {
 public:
  ClassifyByLikelihood(std::unique_ptr<Model> model, const TaskOptions& options, const LoadOptions& load)
      : model_(std::move(model)),
        labels_(options.labels),
        names_(std::make_shared<const std::vector<std::string>>(options.labels)),
        normalise_length_(options.normalise_length),
        prompts_(*model_, options, instruction_of(options), " "),
        caches_(*model_->decoder(), context_of(*model_->decoder(), load)) {
    for (const auto& [text, label] : options.examples) {
      if (std::find(labels_.begin(), labels_.end(), label) == labels_.end()) {
        fail("--example: label '{}' is none of {}", label, fmt::join(labels_, ", "));
      }
    }
    for (const std::string& label : labels_) {
      label_tokens_.push_back(prompts_.continuation(label));
      longest_label_ = std::max(longest_label_, label_tokens_.back().size());
    }
  }

  std::vector<Answer> answer(std::span<const Question> rows) override {
    throw_if_interrupted();
    std::vector<Answer> answers(rows.size());
    std::vector<Prompt> prompts;
    const int64_t limit = caches_.capacity() - static_cast<int64_t>(longest_label_);
    log_.restart();
    for (size_t i = 0; i < rows.size(); ++i) {
      prompts.push_back(prompts_.make(rows[i], limit));
      answers[i].truncation = prompts.back().truncation;
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
    }
    Work work, label_work;
    const std::vector<int64_t> computed = caches_.run(prompts, logits_, work);
    const double prefill = log_.end(Phase::kPrefill, work);
    std::vector<std::vector<double>> likelihoods(rows.size());
    score_labels(rows.size(), likelihoods, label_work);
    const double decode = log_.end(Phase::kDecode, label_work);
    work += label_work;

    const auto total = static_cast<double>(std::accumulate(computed.begin(), computed.end(), int64_t{0}));
    for (size_t i = 0; i < rows.size(); ++i) {
      const double share = static_cast<double>(computed[i]) / total;
      answers[i].work = work.part(share);
      answers[i].work.tokens_in = computed[i];
      answers[i].phases.prefill = prefill * share;
      answers[i].phases.decode = decode / static_cast<double>(rows.size());
      answers[i].value = answer_of(likelihoods[i], static_cast<int64_t>(prompts[i].tokens.size()));
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
  /// likelihoods[row][label] = ln p of the label's tokens after the row's prompt. The prompts' logits give
  /// the first token of every label; the rest of a label runs for all rows at once and is then forgotten.
  void score_labels(size_t rows, std::vector<std::vector<double>>& likelihoods, Work& work) {
    for (size_t i = 0; i < rows; ++i) {
      for (const auto& tokens : label_tokens_) {
        likelihoods[i].push_back(log_probability(logits_.row(static_cast<int64_t>(i)), tokens.front()));
      }
    }
    std::vector<size_t> slots(rows);
    std::iota(slots.begin(), slots.end(), size_t{0});
    for (size_t k = 0; k < labels_.size(); ++k) {
      const std::vector<TokenId>& tokens = label_tokens_[k];
      if (tokens.size() == 1) continue;
      const std::vector<std::vector<TokenId>> inputs(rows, {tokens.begin(), tokens.end() - 1});
      caches_.advance(slots, inputs, LogitsWanted::kAll, logits_, work);
      for (size_t i = 0; i < rows; ++i) {
        for (size_t t = 1; t < tokens.size(); ++t) {
          const auto row = logits_.row(static_cast<int64_t>(i * (tokens.size() - 1) + t - 1));
          likelihoods[i][k] += log_probability(row, tokens[t]);
        }
        caches_.rewind(i);
      }
    }
  }

  LabelAnswer answer_of(std::vector<double> likelihoods, int64_t tokens_in) const {
    if (normalise_length_) {
      for (size_t k = 0; k < likelihoods.size(); ++k)
        likelihoods[k] /= static_cast<double>(label_tokens_[k].size());
    }
    const auto best = std::max_element(likelihoods.begin(), likelihoods.end());
    std::vector<float> scores;
    double sum = 0;
    for (const double likelihood : likelihoods) sum += std::exp(likelihood - *best);
    for (const double likelihood : likelihoods)
      scores.push_back(static_cast<float>(std::exp(likelihood - *best) / sum));
    return {static_cast<int>(best - likelihoods.begin()), std::move(scores), names_, tokens_in};
  }

  std::unique_ptr<Model> model_;
  std::vector<std::string> labels_;
  std::shared_ptr<const std::vector<std::string>> names_;  ///< the same, for answers
  bool normalise_length_;
  PromptMaker prompts_;
  PromptCaches caches_;
  std::vector<std::vector<TokenId>> label_tokens_;
  size_t longest_label_ = 0;
  Matrix logits_;
};

}  // namespace

std::unique_ptr<Task> make_classify_by_likelihood(std::unique_ptr<Model> model, const TaskOptions& options,
                                                  const LoadOptions& load) {
  return std::make_unique<ClassifyByLikelihood>(std::move(model), options, load);
}

}  // namespace wattle
