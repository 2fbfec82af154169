// What jinja2 renders, set up as transformers does (tests/golden/make_chat.py).
#include <gtest/gtest.h>

#include <wattle/error.h>

#include "jinja/golden.h"

namespace wattle::jinja {
namespace {

using Json = nlohmann::ordered_json;

/// The rendered text, or "line N" and the sentence of the error.
struct Outcome {
  std::string text, error;
};

Outcome render(const std::string& source, const Variables& variables) {
  try {
    return {std::string(Template(source, "golden").render(variables, golden_time()).bytes()), {}};
  } catch (const Error& error) {
    return {{}, error.what()};
  }
}

/// An error is told at the line that jinja2 tells, and with the message that a template raises.
void expect_same(const Json& wanted, const Outcome& outcome, const std::string& which) {
  if (wanted.contains("text")) {
    EXPECT_EQ(outcome.error, "") << which;
    EXPECT_EQ(outcome.text, wanted["text"].get<std::string>()) << which;
    return;
  }
  const std::string line = "golden, line " + std::to_string(wanted["line"].get<int>()) + ": ";
  EXPECT_TRUE(outcome.error.starts_with(line))
      << which << "\n wanted: " << line << "\n got: " << outcome.error << outcome.text;
  if (wanted.contains("message")) {
    EXPECT_TRUE(outcome.error.ends_with(": " + wanted["message"].get<std::string>())) << outcome.error;
  }
}

TEST(JinjaGolden, SnippetsRenderAsJinja2Does) {
  const Json golden = golden_json("snippets.json");
  const Variables variables = variables_of(golden["variables"]);
  ASSERT_GT(golden["snippets"].size(), 300u);
  for (const Json& snippet : golden["snippets"]) {
    const auto source = snippet["template"].get<std::string>();
    expect_same(snippet, render(source, variables), source);
  }
}

TEST(JinjaGolden, ChatTemplatesRenderAsJinja2Does) {
  const Json golden = golden_json("templates.json");
  ASSERT_GE(golden["results"].size(), 25u);
  for (const auto& [name, results] : golden["results"].items()) {
    const std::string source = golden_text("templates/" + name + ".jinja");
    for (const auto& [conversation, wanted] : results.items()) {
      Json values = {{"tools", nullptr},
                     {"documents", nullptr},
                     {"add_generation_prompt", true},
                     {"bos_token", "<s>"},
                     {"eos_token", "</s>"}};
      values.update(golden["conversations"][conversation]);
      expect_same(wanted, render(source, variables_of(values)), name + ": " + conversation);
    }
  }
}

}  // namespace
}  // namespace wattle::jinja
