#include <algorithm>
#include <array>
#include <optional>

#include <wattle/error.h>

#include "base/utf8.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

// A template is a Jinja program. The few forms that models here use are recognised by what such a program
// must and must not contain, and written again below; anything else is refused rather than guessed.

namespace wattle {
namespace {

constexpr std::string_view kTemplateKey = "tokenizer.chat_template";

/// A conversation as text: what the template wrote may hold special tokens, what people wrote may not.
class Script {
 public:
  void of_template(std::string text) { add(std::move(text), true); }
  void of_person(std::string_view text) { add(std::string(text), false); }

  std::vector<TextPart> parts() const {
    std::vector<TextPart> parts;
    for (const auto& [text, is_template] : pieces_) parts.push_back({text, is_template});
    return parts;
  }

 private:
  void add(std::string text, bool is_template) { pieces_.emplace_back(std::move(text), is_template); }
  std::vector<std::pair<std::string, bool>> pieces_;
};

struct Context {
  const Metadata& metadata;
  std::string chat_template;
  std::string bos, eos;  ///< texts of these tokens; empty where the model has none
};

struct ChatForm {
  std::string_view name;
  std::array<std::string_view, 4> needed;   ///< all of these occur in the template
  std::array<std::string_view, 4> refused;  ///< and none of these
  void (*write)(const Context& context, std::span<const ChatMessage> messages, Script& script);
};

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

/// Python's str.strip(), which Jinja's trim filter is.
std::string_view strip(std::string_view text) {
  const auto is_space = [](char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
  };
  size_t begin = text.size(), end = 0;
  for (size_t i = 0; i < text.size();) {
    const DecodedCharacter c = decode_utf8(text, i);
    if (!is_space(c.value)) {
      begin = std::min(begin, i);
      end = i + c.bytes;
    }
    i += c.bytes;
  }
  return begin < end ? text.substr(begin, end - begin) : std::string_view();
}

/// After an optional system message, users and assistants take turns, a user first.
void need_turns(const Context& context, std::span<const ChatMessage> turns) {
  for (size_t i = 0; i < turns.size(); ++i) {
    const std::string_view expected = i % 2 == 0 ? "user" : "assistant";
    if (turns[i].role != expected) {
      fail(
          "{}: the model's chat template wants user and assistant in turn, but turn {} is of role \"{}\"; "
          "reorder the "
          "messages",
          context.metadata.origin(), i + 1, turns[i].role);
    }
  }
}

/// The system message that a ChatML template writes when the conversation has none: a literal between its own
/// markers.
std::optional<std::string> default_system_prompt(std::string_view chat_template) {
  constexpr std::string_view kBegin = "<|im_start|>system", kEnd = "<|im_end|>";
  for (size_t at = chat_template.find(kBegin); at != std::string_view::npos;
       at = chat_template.find(kBegin, at + 1)) {
    std::string_view rest = chat_template.substr(at + kBegin.size());
    if (rest.starts_with("\\n")) {
      rest.remove_prefix(2);
    } else if (rest.starts_with('\n')) {
      rest.remove_prefix(1);
    } else {
      continue;
    }
    const std::string_view prompt = rest.substr(0, rest.find(kEnd));
    if (prompt.size() < rest.size() && !contains(prompt, "'") && !contains(prompt, "{") &&
        !contains(prompt, "\\")) {
      return std::string(prompt);
    }
  }
  return std::nullopt;
}

void write_chatml(const Context& context, std::span<const ChatMessage> messages, Script& script) {
  const auto turn = [&](std::string_view role, std::string_view content, bool by_person) {
    script.of_template("<|im_start|>" + std::string(role) + "\n");
    by_person ? script.of_person(content) : script.of_template(std::string(content));
    script.of_template("<|im_end|>\n");
  };
  const auto prompt = default_system_prompt(context.chat_template);
  if (prompt && (messages.empty() || messages[0].role != "system")) turn("system", *prompt, false);
  for (const ChatMessage& message : messages) turn(message.role, message.content, true);
  script.of_template("<|im_start|>assistant\n");
}

void write_gemma(const Context& context, std::span<const ChatMessage> messages, Script& script) {
  const bool with_system = messages[0].role == "system";
  if (with_system && !contains(context.chat_template, "first_user_prefix")) {
    fail(
        "{}: the model's chat template has no place for a system message; put it into the first user message",
        context.metadata.origin());
  }
  const auto turns = messages.subspan(with_system ? 1 : 0);
  need_turns(context, turns);
  script.of_template(context.bos);
  for (size_t i = 0; i < turns.size(); ++i) {
    script.of_template(turns[i].role == "assistant" ? "<start_of_turn>model\n" : "<start_of_turn>user\n");
    if (i == 0 && with_system) script.of_person(messages[0].content + "\n\n");
    script.of_person(strip(turns[i].content));
    script.of_template("<end_of_turn>\n");
  }
  script.of_template("<start_of_turn>model\n");
}

void write_llama2(const Context& context, std::span<const ChatMessage> messages, Script& script) {
  const bool with_system = messages[0].role == "system";
  const auto turns = messages.subspan(with_system ? 1 : 0);
  need_turns(context, turns);
  for (size_t i = 0; i < turns.size(); ++i) {
    std::string content = turns[i].content;
    if (turns[i].role == "assistant") {
      script.of_template(" ");
      script.of_person(strip(content));
      script.of_template(" " + context.eos);
      continue;
    }
    if (i == 0 && with_system) content = "<<SYS>>\n" + messages[0].content + "\n<</SYS>>\n\n" + content;
    script.of_template(context.bos + "[INST] ");
    script.of_person(strip(content));
    script.of_template(" [/INST]");
  }
}

constexpr ChatForm kForms[] = {
    // SmolLM2, Qwen2, Qwen2.5. Reasoning models' ChatML rewrites earlier turns.
    {"chatml",
     {"<|im_start|>", "<|im_end|>", "<|im_start|>assistant", "add_generation_prompt"},
     {"think", "reasoning", "trim", "strip("},
     write_chatml},
    {"gemma",
     {"<start_of_turn>model", "<end_of_turn>", "bos_token", "| trim"},
     {"think", "reasoning", "tool", "function"},
     write_gemma},
    {"llama-2",
     {"bos_token + '[INST] '", "<<SYS>>", "' [/INST]'", "eos_token"},
     {"tool", "think"},
     write_llama2},
};

const ChatForm* find_form(std::string_view chat_template) {
  for (const ChatForm& form : kForms) {
    const auto there = [&](std::string_view part) { return part.empty() || contains(chat_template, part); };
    const auto absent = [&](std::string_view part) { return part.empty() || !contains(chat_template, part); };
    if (std::all_of(form.needed.begin(), form.needed.end(), there) &&
        std::all_of(form.refused.begin(), form.refused.end(), absent)) {
      return &form;
    }
  }
  return nullptr;
}

std::string text_of(const Tokenizer& tokenizer, std::optional<TokenId> id) {
  return id ? tokenizer.token_text(*id) : std::string();
}

/// The template's beginning on one line, cut between characters.
std::string beginning(std::string_view chat_template) {
  constexpr size_t kShown = 60;
  std::string shown;
  for (size_t i = 0; i < chat_template.size() && shown.size() < kShown;) {
    const DecodedCharacter c = decode_utf8(chat_template, i);
    append_utf8(shown, c.value < 0x20 ? U' ' : c.value);
    i += c.bytes;
  }
  return shown;
}

}  // namespace

bool has_chat_template(const Metadata& metadata) {
  const auto chat_template = metadata.text(kTemplateKey);
  return chat_template && find_form(*chat_template) != nullptr;
}

std::vector<TokenId> encode_chat(const Metadata& metadata, const Tokenizer& tokenizer,
                                 std::span<const ChatMessage> messages) {
  const auto chat_template = metadata.text(kTemplateKey);
  if (!chat_template) {
    fail("{}: the model has no chat template; give --no-chat to continue the plain text", metadata.origin());
  }
  const ChatForm* const form = find_form(*chat_template);
  if (form == nullptr) {
    fail("{}: the chat template that begins \"{}\" is not known; give --no-chat to continue the plain text",
         metadata.origin(), beginning(*chat_template));
  }
  if (messages.empty()) fail("{}: a conversation without messages; give at least one", metadata.origin());
  for (const ChatMessage& message : messages) {
    if (message.role != "system" && message.role != "user" && message.role != "assistant") {
      fail("{}: a message of role \"{}\"; the chat template knows system, user and assistant",
           metadata.origin(), repaired_utf8(message.role));
    }
  }
  const Tokenizer::Special& special = tokenizer.special();
  const Context context{metadata, *chat_template, text_of(tokenizer, special.bos),
                        text_of(tokenizer, special.eos)};
  Script script;
  form->write(context, messages, script);
  return tokenizer.encode_parts(script.parts(), false);
}

}  // namespace wattle
