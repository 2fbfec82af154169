#include "cli/inspect_chat.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/local_time.h"
#include "text/chat.h"

namespace wattle {
namespace {

using Json = nlohmann::ordered_json;

const std::vector<ChatMessage> kExample = {{"system", "Answer in one sentence."},
                                           {"user", "What is the capital of France?"},
                                           {"assistant", "The capital of France is Paris."},
                                           {"user", "And of Peru?"}};

struct Example {
  std::vector<ChatMessage> messages;
  std::string text, note;
  std::vector<TokenId> ids;
};

/// The example, without its system message where the template has no place for one.
Example example_of(const ChatTemplate& chat) {
  Example example{kExample, {}, {}, {}};
  const ChatOptions options{.now = local_time()};
  const auto render = [&] {
    example.text = chat.render(example.messages, options).bytes();
    example.ids = chat.encode(example.messages, options);
  };
  try {
    render();
  } catch (const ChatError& error) {
    example.note = fmt::format("without the system message: {}", error.what());
    example.messages.erase(example.messages.begin());
    try {
      render();
    } catch (const ChatError&) {
      throw error;  // it is not the system message's fault
    }
  }
  return example;
}

/// Line ends stay; other control characters must not reach the terminal.
std::string printable_text(std::string text) {
  for (char& c : text) {
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\n') || c == 0x7F) c = ' ';
  }
  return text;
}

bool is_special(const Tokenizer& tokenizer, TokenId id) {
  return tokenizer.piece(id).empty();
}

void print_text(const Tokenizer& tokenizer, const Example& example, const std::vector<std::string>& names) {
  fmt::print("{}\n", printable_text(example.text));
  std::vector<std::pair<TokenId, int>> special;
  for (const TokenId id : example.ids) {
    if (!is_special(tokenizer, id)) continue;
    const auto known =
        std::find_if(special.begin(), special.end(), [&](const auto& s) { return s.first == id; });
    known == special.end() ? void(special.emplace_back(id, 1)) : void(known->second += 1);
  }
  std::vector<std::string> shown;
  for (const auto& [id, count] : special) {
    shown.push_back(fmt::format("{} ({}, {} x)", printable_text(tokenizer.token_text(id)), id, count));
  }
  fmt::print("\n{:<15}{}\n", "tokens", example.ids.size());
  fmt::print("{:<15}{}\n", "special tokens",
             shown.empty() ? "none" : fmt::format("{}", fmt::join(shown, ", ")));
  if (names.size() > 1)
    fmt::print("{:<15}{}\n", "templates", printable_text(fmt::format("{}", fmt::join(names, ", "))));
  if (!example.note.empty()) fmt::print("{:<15}{}\n", "note", printable_text(example.note));
}

Json json_of(const Tokenizer& tokenizer, const Example& example, const std::vector<std::string>& names) {
  Json result = {{"templates", names}, {"messages", Json::array()}, {"text", example.text}};
  for (const ChatMessage& message : example.messages) {
    result["messages"].push_back({{"role", message.role}, {"content", message.content}});
  }
  for (const TokenId id : example.ids) {
    result["tokens"].push_back(
        {{"id", id}, {"text", tokenizer.token_text(id)}, {"special", is_special(tokenizer, id)}});
  }
  result["note"] = example.note.empty() ? Json() : Json(example.note);
  return result;
}

}  // namespace

void print_chat(const ModelFile& file, const std::string& name, bool json) {
  const auto tokenizer = Tokenizer::create(file.metadata());
  const Example example = example_of(ChatTemplate(file.metadata(), *tokenizer, name));
  const auto names = chat_template_names(file.metadata());
  if (!json) return print_text(*tokenizer, example, names);
  const Json result = json_of(*tokenizer, example, names);
  fmt::print("{}\n", result.dump(2, ' ', false, Json::error_handler_t::replace));
}

}  // namespace wattle
