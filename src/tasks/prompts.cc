#include "tasks/prompts.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <wattle/error.h>

#include "base/utf8.h"

namespace wattle::inline tasks {
namespace {

constexpr std::string_view kText = "{text}";

}  // namespace

PromptMaker::PromptMaker(const Model& model, const TaskOptions& options, std::string instruction,
                         std::string answer_separator)
    : model_(model),
      instruction_(std::move(instruction)),
      answer_separator_(std::move(answer_separator)),
      examples_(options.examples),
      parse_special_(options.parse_special) {
  if (options.chat && has_chat_template(model.metadata())) chat_.emplace(model.metadata(), model.tokenizer());
  chat_options_.parse_special = options.parse_special;
  chat_options_.now = options.now;
  if (instruction_.find(kText) == std::string::npos) {
    fail("--prompt-template: does not hold {{text}}, the place of the row's text; add it");
  }
}

std::string PromptMaker::fill(std::string_view text) const {
  // Only the template's own place is filled: a text that holds "{text}" itself stays as it is.
  std::string filled = instruction_;
  return filled.replace(filled.find(kText), kText.size(), text);
}

std::vector<TokenId> PromptMaker::encode(std::string_view text, const std::string& answer) const {
  if (chat_) {
    std::vector<ChatMessage> messages;
    for (const auto& [example, label] : examples_) {
      messages.push_back({"user", fill(example)});
      messages.push_back({"assistant", label});
    }
    messages.push_back({"user", fill(text)});
    std::vector<TokenId> ids = chat_->encode(messages, chat_options_);
    const auto rest = model_.tokenizer().encode(answer, {.add_special = false});
    ids.insert(ids.end(), rest.begin(), rest.end());
    return ids;
  }
  std::string prompt;
  for (const auto& [example, label] : examples_) prompt += fill(example) + answer_separator_ + label + "\n\n";
  prompt += fill(text);
  if (!answer.empty()) prompt += answer_separator_ + answer;
  std::vector<TokenId> ids =
      model_.tokenizer().encode(prompt, {.add_special = true, .parse_special = parse_special_});
  // A closing token (some models add one) would end the text that is to be continued.
  const Tokenizer::Special& special = model_.tokenizer().special();
  if (special.add_eos && !ids.empty() && ids.back() == special.eos) ids.pop_back();
  if (ids.empty() && special.bos) ids.push_back(*special.bos);
  return ids;
}

Prompt PromptMaker::make(const Question& question, int64_t limit) const {
  if (question.conversation() != nullptr) return from_conversation(question, limit);
  if (question.ids() == nullptr) return from_text(question.text(), limit);
  const auto ids = checked_ids(question, model_, limit);
  return {{ids.begin(), ids.end()}, {}};
}

Prompt PromptMaker::from_conversation(const Question& question, int64_t limit) const {
  if (!chat_) {
    fail("row {}: is a conversation, and no chat template of the model is used; give a text", question.id);
  }
  Prompt prompt{chat_->encode(question.conversation()->messages, chat_options_), {}};
  if (static_cast<int64_t>(prompt.tokens.size()) > limit) {
    fail(
        "row {}: the conversation takes {} tokens, more than the {} there is room for; shorten it or raise "
        "--context",
        question.id, prompt.tokens.size(), limit);
  }
  return prompt;
}

Prompt PromptMaker::from_text(std::string_view text, int64_t limit) const {
  Prompt prompt{encode(text), {}};
  const auto tokens = static_cast<int64_t>(prompt.tokens.size());
  while (static_cast<int64_t>(prompt.tokens.size()) > limit) {
    if (text.empty()) {
      fail(
          "the prompt's template and examples alone take {} tokens, more than the {} there is room for; "
          "shorten them "
          "or raise --context",
          prompt.tokens.size(), limit);
    }
    const double keep = 0.95 * static_cast<double>(limit) / static_cast<double>(prompt.tokens.size());
    text = whole_characters(text.substr(0, static_cast<size_t>(static_cast<double>(text.size()) * keep)));
    prompt = {encode(text), {tokens, limit}};
  }
  if (prompt.tokens.empty())
    fail("the prompt is empty and the model has no beginning-of-text token; write a prompt");
  return prompt;
}

std::vector<TokenId> PromptMaker::continuation(const std::string& answer) const {
  const std::vector<TokenId> without = encode("x"), with = encode("x", answer);
  const auto shared = static_cast<size_t>(common_prefix(without, with));
  if (shared == with.size()) fail("the label '{}' has no tokens; give it words", answer);
  if (shared == without.size()) return {with.begin() + static_cast<std::ptrdiff_t>(shared), with.end()};
  // The answer's first letters merge with the prompt's last ones: then it stands alone.
  return model_.tokenizer().encode(answer_separator_ + answer, {.add_special = false});
}

std::vector<int64_t> PromptCaches::run(std::span<const Prompt> prompts, Matrix& logits, Work& work) {
  for (size_t slot = 0; slot < slots_.size(); ++slot) {
    rewind(slot);
    pool_.give(std::move(slots_[slot].cache), std::move(slots_[slot].prompt));
  }
  slots_.clear();
  std::vector<DecoderInput> inputs;
  std::vector<int64_t> computed;
  slots_.reserve(prompts.size());
  for (const Prompt& prompt : prompts) {
    Slot& slot = slots_.emplace_back(pool_.take(prompt.tokens), prompt.tokens);
    const auto rest =
        std::span<const TokenId>(slot.prompt).subspan(static_cast<size_t>(slot.cache->length()));
    inputs.push_back({slot.cache.get(), rest});
    computed.push_back(static_cast<int64_t>(rest.size()));
  }
  try {
    decoder_.forward(inputs, LogitsWanted::kLast, logits, work);
  } catch (...) {
    slots_.clear();  // what they hold is unknown
    throw;
  }
  return computed;
}

void PromptCaches::advance(std::span<const size_t> slots, std::span<const std::vector<TokenId>> tokens,
                           LogitsWanted wanted, Matrix& logits, Work& work) {
  std::vector<DecoderInput> inputs;
  for (size_t i = 0; i < slots.size(); ++i) inputs.push_back({slots_[slots[i]].cache.get(), tokens[i]});
  decoder_.forward(inputs, wanted, logits, work);
}

void PromptCaches::rewind(size_t slot) {
  slots_[slot].cache->truncate(static_cast<int64_t>(slots_[slot].prompt.size()));
}

double log_probability(std::span<const float> logits, TokenId id) {
  const float largest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit - largest);
  return static_cast<double>(logits[static_cast<size_t>(id)] - largest) - std::log(sum);
}

int64_t context_of(const ContinuesText& decoder, const LoadOptions& load) {
  constexpr int64_t kLongestByDefault = 4096;
  return load.context > 0 ? load.context : std::min(decoder.context_length(), kLongestByDefault);
}

}  // namespace wattle::inline tasks
