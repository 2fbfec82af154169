#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decode/cache_pool.h"
#include "tasks/task.h"
#include "text/chat.h"

namespace wattle::inline tasks {

/// The tokens of a row's prompt.
struct Prompt {
  std::vector<TokenId> tokens;
  Truncation truncation;  ///< of the row's text, at its end, so that the prompt fits
};

/// Makes prompts from a template, few-shot examples and, where the model has one and it is wanted, its chat
/// template.
class PromptMaker {
 public:
  /// `instruction` holds "{text}"; Error when it does not. `answer_separator` stands between a prompt and its
  /// answer in the examples of a model without a chat template.
  PromptMaker(const Model& model, const TaskOptions& options, std::string instruction,
              std::string answer_separator);

  bool chat() const { return chat_.has_value(); }
  /// At most `limit` tokens. A text is put into the template; a conversation goes into the model's chat
  /// template as it is; ids are the whole prompt. Error when the template alone, a conversation or ids are
  /// longer, and for a question of another kind.
  Prompt make(const Question& question, int64_t limit) const;
  /// Tokens that `answer` adds after any prompt.
  std::vector<TokenId> continuation(const std::string& answer) const;

 private:
  Prompt from_text(std::string_view text, int64_t limit) const;
  Prompt from_conversation(const Question& question, int64_t limit) const;
  std::vector<TokenId> encode(std::string_view text, const std::string& answer = {}) const;
  std::string fill(std::string_view text) const;

  const Model& model_;
  std::string instruction_, answer_separator_;
  std::vector<std::pair<std::string, std::string>> examples_;
  std::optional<ChatTemplate> chat_;
  ChatOptions chat_options_;
  bool parse_special_;
};

/// Runs the prompts of a batch and what may follow each. What two prompts share is computed once
/// (decode/cache_pool.h).
class PromptCaches {
 public:
  PromptCaches(ContinuesText& decoder, int64_t capacity) : decoder_(decoder), pool_(decoder, capacity) {}

  int64_t capacity() const { return pool_.capacity(); }
  /// Runs the prompts (a ragged batch, one a slot); logits [prompts, vocabulary] of what follows each.
  /// Returns how many tokens of each had to be computed, at least one.
  std::vector<int64_t> run(std::span<const Prompt> prompts, Matrix& logits, Work& work);
  /// Runs tokens after the prompts in some slots; appended tokens are forgotten by the next run().
  void advance(std::span<const size_t> slots, std::span<const std::vector<TokenId>> tokens,
               LogitsWanted wanted, Matrix& logits, Work& work);
  /// Cuts a slot back to its prompt.
  void rewind(size_t slot);

 private:
  struct Slot {
    std::unique_ptr<KeyValueCache> cache;
    std::vector<TokenId> prompt;
  };
  ContinuesText& decoder_;
  CachePool pool_;
  std::vector<Slot> slots_;
};

/// ln p of token `id` under the softmax of `logits`.
double log_probability(std::span<const float> logits, TokenId id);

/// Positions that the caches of a task hold: as asked for, else what the model was trained with, at most
/// 4,096.
int64_t context_of(const ContinuesText& decoder, const LoadOptions& load);

}  // namespace wattle::inline tasks
