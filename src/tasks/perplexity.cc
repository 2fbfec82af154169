// Perplexity over consecutive windows, after llama.cpp's `perplexity` tool: the text is one stream of tokens,
// cut into windows of --context; a model that wants BOS gets it in place of each window's first token; a
// shorter rest is left out. Unlike there, every position but a window's first is scored, not the second half
// only.
#include <algorithm>
#include <utility>

#include <wattle/error.h>

#include "base/interrupt.h"
#include "base/threads.h"
#include "tasks/json.h"
#include "tasks/kinds.h"
#include "tasks/perplexity_score.h"
#include "tasks/prompts.h"

namespace wattle::inline tasks {
namespace {

/// Logits of one forward pass take at most so many floats (128 MB): a vocabulary may have 262,144 words.
constexpr int64_t kLogitsPerPass = int64_t{1} << 25;

class Perplexity : public Task {
 public:
  Perplexity(std::unique_ptr<Model> model, const TaskOptions& options)
      : model_(std::move(model)), options_(options), decoder_(*model_->decoder()) {
    if (options_.context < 2) fail("--context {}: a window needs at least two tokens", options_.context);
    if (options_.context > decoder_.context_length()) {
      fail("--context {}: the model was trained with {} tokens; lower it", options_.context,
           decoder_.context_length());
    }
    cache_ = decoder_.new_cache(options_.context);
  }

  std::vector<Answer> answer(std::span<const Question> rows) override {
    std::vector<Answer> answers(rows.size());
    log_.restart();
    for (size_t i = 0; i < rows.size(); ++i) {
      std::vector<TokenId> tokens = tokens_of(rows[i]);
      if (options_.max_tokens > 0 && static_cast<int64_t>(tokens.size()) > options_.max_tokens) {
        tokens.resize(static_cast<size_t>(options_.max_tokens));
      }
      if (tokens.size() < 2) fail("--task perplexity: the text has fewer than two tokens; give a longer one");
      answers[i].phases.tokenize = log_.end(Phase::kTokenize);
      const PerplexityScore score =
          score_text(tokens, rows[i].ids() == nullptr,
                     {static_cast<double>(i), static_cast<double>(rows.size())}, answers[i].work);
      answers[i].phases.prefill = log_.end(Phase::kPrefill, answers[i].work);
      answers[i].value = score.answer(model_->has_tokenizer());
      total_ += score;
    }
    return answers;
  }

  nlohmann::ordered_json summary() const override {
    if (total_.tokens == 0) return nullptr;
    nlohmann::ordered_json summary = to_json(total_.answer(model_->has_tokenizer()));
    summary["context"] = options_.context;
    return summary;
  }

  nlohmann::ordered_json description() const override { return describe(model_->file()); }

 private:
  std::vector<TokenId> tokens_of(const Question& question) const {
    if (question.ids() == nullptr) return model_->tokenizer().encode(question.text());
    const auto ids = checked_ids(question, *model_, INT64_MAX);
    return {ids.begin(), ids.end()};
  }

  struct Place {
    double before, of;  ///< rows that are done, and all
  };

  /// `own_beginning`: a window begins with the model's BOS, where it wants one.
  PerplexityScore score_text(std::vector<TokenId>& tokens, bool own_beginning, Place place, Work& work) {
    const int64_t length = std::min(options_.context, static_cast<int64_t>(tokens.size()));
    const int64_t windows = static_cast<int64_t>(tokens.size()) / length;
    PerplexityScore score;
    for (int64_t w = 0; w < windows; ++w) {
      const std::span window =
          std::span(tokens).subspan(static_cast<size_t>(w * length), static_cast<size_t>(length));
      if (own_beginning) {
        const Tokenizer::Special& special = model_->tokenizer().special();
        if (special.add_bos && special.bos) window.front() = *special.bos;
      }
      score += score_window(window, work);
      if (options_.progress) {
        const double part = static_cast<double>(w + 1) / static_cast<double>(windows);
        options_.progress((place.before + part) / place.of);
      }
    }
    return score;
  }

  PerplexityScore score_window(std::span<const TokenId> window, Work& work) {
    const auto length = static_cast<int64_t>(window.size());
    const int64_t step = std::clamp<int64_t>(kLogitsPerPass / decoder_.vocabulary(), 16, length);
    cache_->truncate(0);
    PerplexityScore score{0, length - 1, 0, 1};
    for (const TokenId id : model_->has_tokenizer() ? window.subspan(1) : window.first(0))
      score.bytes += static_cast<int64_t>(model_->tokenizer().piece(id).size());
    // The last token has nothing to foretell and need not run.
    for (int64_t begin = 0; begin < length - 1; begin += step) {
      throw_if_interrupted();
      const int64_t count = std::min(step, length - 1 - begin);
      const DecoderInput input{cache_.get(),
                               window.subspan(static_cast<size_t>(begin), static_cast<size_t>(count))};
      decoder_.forward({&input, 1}, LogitsWanted::kAll, logits_, work);
      std::vector<double> nats(static_cast<size_t>(count));
      for_each_index(count, true, [&](int64_t t) {
        nats[static_cast<size_t>(t)] =
            -log_probability(std::as_const(logits_).row(t), window[static_cast<size_t>(begin + t + 1)]);
      });
      for (const double value : nats) score.nats += value;
    }
    return score;
  }

  std::unique_ptr<Model> model_;
  TaskOptions options_;
  ContinuesText& decoder_;
  std::unique_ptr<KeyValueCache> cache_;
  Matrix logits_;
  PerplexityScore total_;
};

}  // namespace

std::unique_ptr<Task> make_perplexity(std::unique_ptr<Model> model, const TaskOptions& options) {
  return std::make_unique<Perplexity>(std::move(model), options);
}

}  // namespace wattle::inline tasks
