// Pseudo-perplexity of masked models (Salazar et al. 2020): each token's probability when it alone is masked.
#include <algorithm>
#include <numeric>
#include <utility>

#include <wattle/error.h>

#include "tasks/json.h"
#include "tasks/kinds.h"
#include "tasks/own_head.h"
#include "tasks/perplexity_score.h"
#include "tasks/places.h"
#include "tasks/prompts.h"

namespace wattle::inline tasks {
namespace {

class PseudoPerplexity : public Task {
 public:
  PseudoPerplexity(std::unique_ptr<Model> model, const TaskOptions& options)
      : model_(std::move(model)), head_(*model_, NetworkHeadKind::kMasked), options_(options) {
    const auto mask = model_->tokenizer().special().mask;
    if (!mask) {
      fail("{}: its tokenizer has no mask token; use a model that was trained to fill masks",
           model_->file().path().string());
    }
    mask_ = *mask;
    window_ = std::min(options.context, head_.max_tokens()) - model_->tokenizer().added_tokens(false);
    if (window_ < 1)
      fail("a window of {} tokens has no room for a text; choose a longer one", options.context);
  }

  std::vector<Answer> answer(std::span<const Question> questions) override {
    std::vector<Answer> answers(questions.size());
    log_.restart();
    for (size_t i = 0; i < questions.size(); ++i) {
      Encoding body = model_->tokenizer().encode_body(questions[i].text());
      if (options_.max_tokens > 0 && static_cast<int64_t>(body.size()) > options_.max_tokens) {
        body = body.slice(0, static_cast<size_t>(options_.max_tokens));
      }
      if (body.size() == 0) fail("row {}: the text has no tokens; give one that has", questions[i].id);
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
      const auto parts = windows(body.size(), static_cast<size_t>(window_), 0);
      PerplexityScore score;
      for (size_t w = 0; w < parts.size(); ++w) {
        score += score_window(body.slice(parts[w].first, parts[w].second), answers[i]);
        if (!options_.progress) continue;
        const double part = static_cast<double>(w + 1) / static_cast<double>(parts.size());
        options_.progress((static_cast<double>(i) + part) / static_cast<double>(questions.size()));
      }
      answers[i].value = score.answer(true);
      total_ += score;
    }
    return answers;
  }

  nlohmann::ordered_json summary() const override {
    if (total_.tokens == 0) return nullptr;
    nlohmann::ordered_json summary = to_json(total_.answer(true));
    summary["context"] = window_ + model_->tokenizer().added_tokens(false);
    summary["pseudo"] = true;
    return summary;
  }

  nlohmann::ordered_json description() const override { return describe(model_->file()); }

 private:
  PerplexityScore score_window(Encoding body, Answer& answer) {
    const Encoding window = model_->tokenizer().assemble(std::move(body), std::nullopt);
    const HeadInput whole = head_.input_of(window);
    std::vector<HeadInput> inputs;
    std::vector<std::vector<int64_t>> places;
    PerplexityScore score{0, 0, 0, 1};
    for (size_t i = 0; i < window.size(); ++i) {
      if (window.sequence[i] < 0) continue;
      inputs.push_back(whole);
      inputs.back().ids[i] = mask_;
      places.push_back({static_cast<int64_t>(i)});
      score.tokens += 1;
      score.bytes += window.offsets[i].end - window.offsets[i].begin;
    }
    std::vector<double> nats(inputs.size());
    const auto records = head_.run_at(
        inputs, places,
        [&](size_t i, ConstMatrixView logits) {
          nats[i] = -log_probability(logits.row(0), window.ids[static_cast<size_t>(places[i][0])]);
        },
        log_);
    for (const HeadRecord& record : records) add(record, answer);
    score.nats = std::accumulate(nats.begin(), nats.end(), 0.0);
    return score;
  }

  std::unique_ptr<Model> model_;
  OwnHead head_;
  TaskOptions options_;
  TokenId mask_ = 0;
  int64_t window_;
  PerplexityScore total_;
};

}  // namespace

std::unique_ptr<Task> make_pseudo_perplexity(std::unique_ptr<Model> model, const TaskOptions& options) {
  return std::make_unique<PseudoPerplexity>(std::move(model), options);
}

}  // namespace wattle::inline tasks
