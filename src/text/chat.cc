#include "text/chat.h"

#include <algorithm>
#include <limits>

#include "base/utf8.h"

namespace wattle::inline text {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kTemplateKey = "tokenizer.chat_template";
constexpr std::string_view kDefault = "default";

/// Tools, documents and variables: not the template's words.
constexpr jinja::Source kOthers = std::numeric_limits<jinja::Source>::max();

template <typename... Args>
[[noreturn]] void fail_chat(fmt::format_string<Args...> format, Args&&... args) {
  throw ChatError(fmt::format(format, std::forward<Args>(args)...));
}

/// Templates build special tokens of roles ("<|" + role + "|>"), so a role counts as the template's own
/// words, and must be a word for that.
void need_role(const std::string& origin, const std::string& role) {
  constexpr size_t kLongest = 64;
  const bool is_word =
      !role.empty() && role.size() <= kLongest && std::all_of(role.begin(), role.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
               c == '-';
      });
  if (is_word) return;
  fail_chat("{}: a message of role \"{}\"; a role is a word, such as system, user or assistant", origin,
            repaired_utf8(role).substr(0, kLongest));
}

jinja::Argument argument_of(const ChatMessage& message, jinja::Source source) {
  std::vector<std::pair<std::string, jinja::Argument>> members;
  members.emplace_back("role", jinja::Argument(Json(message.role)));
  if (!message.more.is_object() || !message.more.contains("content")) {
    members.emplace_back("content", jinja::Argument(Json(message.content), source));
  }
  if (message.more.is_object()) {
    for (const auto& [name, value] : message.more.items()) {
      if (name != "role") members.emplace_back(name, jinja::Argument(value, source));
    }
  }
  return jinja::Argument::object(std::move(members));
}

}  // namespace

std::vector<std::string> chat_template_names(const Metadata& metadata) {
  std::vector<std::string> names;
  if (metadata.find(kTemplateKey) != nullptr) names.emplace_back(kDefault);
  for (const auto& [key, value] : metadata.entries()) {
    if (key.size() > kTemplateKey.size() + 1 && key.starts_with(kTemplateKey) &&
        key[kTemplateKey.size()] == '.') {
      names.push_back(key.substr(kTemplateKey.size() + 1));
    }
  }
  return names;
}

ChatTemplate::ChatTemplate(const Metadata& metadata, const Tokenizer& tokenizer, std::string_view name)
    : origin_(metadata.origin()), tokenizer_(&tokenizer) {
  const std::vector<std::string> names = chat_template_names(metadata);
  if (names.empty()) fail_chat("{}: the model has no chat template", origin_);
  const std::string wanted = name.empty() ? names.front() : std::string(name);
  if (std::find(names.begin(), names.end(), wanted) == names.end()) {
    fail_chat("{}: the model has no chat template \"{}\"; it has {}", origin_, wanted,
              fmt::join(names, ", "));
  }
  const std::string key =
      wanted == kDefault ? std::string(kTemplateKey) : fmt::format("{}.{}", kTemplateKey, wanted);
  const std::string title =
      wanted == kDefault ? origin_ + ": chat template" : fmt::format("{}: chat template {}", origin_, wanted);
  try {
    template_.emplace(metadata.need_text(key), title);
  } catch (const Error& error) {
    throw ChatError(error.what());
  }
}

jinja::Variables ChatTemplate::variables_of(std::span<const ChatMessage> messages,
                                            const ChatOptions& options) const {
  std::vector<jinja::Argument> turns;
  for (size_t i = 0; i < messages.size(); ++i) {
    need_role(origin_, messages[i].role);
    turns.push_back(argument_of(messages[i], static_cast<jinja::Source>(i + 1)));
  }
  jinja::Variables variables;
  const Tokenizer::Special& special = tokenizer_->special();
  const std::pair<const char*, std::optional<TokenId>> tokens[] = {
      {"bos_token", special.bos},  {"eos_token", special.eos}, {"unk_token", special.unk},
      {"sep_token", special.sep},  {"pad_token", special.pad}, {"cls_token", special.cls},
      {"mask_token", special.mask}};
  for (const auto& [name, id] : tokens) {
    if (id) variables.emplace_back(name, jinja::Argument(Json(tokenizer_->token_text(*id))));
  }
  variables.emplace_back("messages", jinja::Argument::list(std::move(turns)));
  variables.emplace_back("tools", jinja::Argument(options.tools, kOthers));
  variables.emplace_back("documents", jinja::Argument(options.documents, kOthers));
  variables.emplace_back("add_generation_prompt", jinja::Argument(Json(options.add_generation_prompt)));
  if (options.variables.is_object()) {
    for (const auto& [name, value] : options.variables.items()) {
      variables.emplace_back(name, jinja::Argument(value, kOthers));
    }
  }
  return variables;
}

jinja::Text ChatTemplate::render(std::span<const ChatMessage> messages, const ChatOptions& options) const {
  if (messages.empty()) fail_chat("{}: a conversation without messages; give at least one", origin_);
  const jinja::Variables variables = variables_of(messages, options);
  try {
    jinja::Text text = template_->render(variables, options.now);
    need_all_messages(messages, text);
    return text;
  } catch (const ChatError&) {
    throw;
  } catch (const Error& error) {
    throw ChatError(error.what());
  }
}

void ChatTemplate::need_all_messages(std::span<const ChatMessage> messages, const jinja::Text& text) const {
  std::vector<bool> written(messages.size() + 1);
  text.for_each_part([&](std::string_view, jinja::Source source) {
    if (source < written.size()) written[source] = true;
  });
  for (size_t i = 0; i < messages.size(); ++i) {
    const ChatMessage& message = messages[i];
    // Of an assistant's turns templates leave out what was thought, or what accompanies a call.
    if (written[i + 1] || message.role == "assistant") continue;
    if (jinja::strip(jinja::Text(repaired_utf8(message.content)), {}, true, true).empty()) continue;
    fail_chat("{}: the chat template leaves out message {}, of role {}; put its text into a user's message",
              origin_, i + 1, message.role);
  }
}

std::vector<TokenId> ChatTemplate::encode(std::span<const ChatMessage> messages,
                                          const ChatOptions& options) const {
  const jinja::Text text = render(messages, options);
  std::vector<TextPart> parts;
  text.for_each_part([&](std::string_view part, jinja::Source source) {
    parts.push_back({part, source == jinja::kTemplate || options.parse_special});
  });
  return tokenizer_->encode_parts(parts, false);
}

}  // namespace wattle::inline text
