#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "jinja/template.h"
#include "text/tokenizer.h"

namespace wattle::inline text {

/// A chat template is missing, is no template, or does not render a conversation. The way out, to leave chat
/// templates out, is the caller's to name.
class ChatError : public Error {
 public:
  using Error::Error;
};

/// One turn of a conversation.
struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant", "tool" or another that the template knows
  std::string content;
  /// Further members as the ecosystem names them, an object or null: tool_calls, tool_call_id, name,
  /// reasoning_content; also a `content` of parts in place of the text.
  nlohmann::ordered_json more = nullptr;
};

struct ChatOptions {
  bool add_generation_prompt = true;  ///< end where the assistant's answer begins
  bool parse_special = false;  ///< texts such as "<|im_end|>" in the messages become special tokens too
  nlohmann::ordered_json tools = nullptr, documents = nullptr;  ///< lists, or null for none
  nlohmann::ordered_json variables = nullptr;  ///< more that the template reads, an object: enable_thinking
  /// The template's date. Without one strftime_now is undefined, for which most templates have a date of
  /// their own.
  std::optional<std::chrono::local_seconds> now = {};
};

/// The names of a model's chat templates (tokenizer.chat_template, tokenizer.chat_template.NAME), "default"
/// first.
std::vector<std::string> chat_template_names(const Metadata& metadata);

inline bool has_chat_template(const Metadata& metadata) {
  return !chat_template_names(metadata).empty();
}

/// A model's own chat template, read once. Rendering is thread-safe.
class ChatTemplate {
 public:
  /// `name`: one of chat_template_names; empty: "default", or the only one. The tokenizer must outlive it.
  /// Throws ChatError when there is none, or it is no template.
  ChatTemplate(const Metadata& metadata, const Tokenizer& tokenizer, std::string_view name = {});

  /// The text of a conversation; source 0 is the template's, i + 1 what message i holds. Throws ChatError
  /// when the template refuses the conversation or leaves a message of a user or a system out.
  jinja::Text render(std::span<const ChatMessage> messages, const ChatOptions& options = {}) const;

  /// Its token ids. Special tokens are found in what the template wrote, roles included, not in what the
  /// messages hold. Nothing is put before or after: a beginning-of-text token is there where the template
  /// writes it.
  std::vector<TokenId> encode(std::span<const ChatMessage> messages, const ChatOptions& options = {}) const;

 private:
  jinja::Variables variables_of(std::span<const ChatMessage> messages, const ChatOptions& options) const;
  void need_all_messages(std::span<const ChatMessage> messages, const jinja::Text& text) const;

  std::string origin_;
  const Tokenizer* tokenizer_;
  std::optional<jinja::Template> template_;
};

}  // namespace wattle::inline text
