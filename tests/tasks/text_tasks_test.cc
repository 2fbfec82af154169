#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "tasks/pipelines.h"

// Texts from texts, pseudo-perplexities, and prompts of embeddings.

namespace wattle {
namespace {

using namespace pipelines;

TEST(TextTasks, SummariesAndTranslationsAreThePipelines) {
  for (const Json& about : cases_of("text_to_text")) {
    const Folder folder(about);
    TaskOptions options;
    options.task = about["task"];
    options.from = about.value("from", "");
    options.to = about.value("to", "");
    options.max_tokens = about.value("max_tokens", 0);
    if (about.contains("no_repeat_ngram"))
      options.generation.no_repeat_ngram = about["no_repeat_ngram"].get<int64_t>();
    LoadOptions exact;
    exact.cache_format = Format::kF32;
    exact.context = about.value("context", 64);
    const auto task = Task::create(folder.path(), options, exact);
    for (const Json& row : about["rows"]) {
      const Answer answer = ask(*task, question_of(row));
      EXPECT_EQ(std::get<TextAnswer>(answer.value).text, row["out"])
          << about["case"] << about["task"] << row["text"];
    }
  }
}

TEST(TextTasks, LanguagesAreTheModels) {
  for (const Json& about : cases_of("text_to_text")) {
    if (about["task"] != "translate" || about["case"] == "llama/base") continue;
    const Folder folder(about);
    TaskOptions options{.task = "translate"};
    options.from = "en", options.to = "tlh";
    const std::string why = refusal([&] { Task::create(folder.path(), options); });
    EXPECT_NE(why.find(about["case"] == "t5/base" ? "en_to_de" : "is none of them"), std::string::npos)
        << why;
  }
}

TEST(TextTasks, PseudoPerplexityMasksOneTokenAtATime) {
  for (const Json& about : cases_of("pseudo_perplexity")) {
    const Folder folder(about);
    const auto task = task_of(folder, "perplexity");
    for (const Json& row : about["rows"]) {
      const Answer answer = ask(*task, question_of(row));
      const auto& value = std::get<PerplexityAnswer>(answer.value);
      const double wanted = row["perplexity"];
      EXPECT_NEAR(value.perplexity, wanted, kTolerance * wanted) << about["case"] << row["text"];
      EXPECT_EQ(value.tokens, row["tokens"]);
      EXPECT_EQ(value.windows, 1);
    }
  }
}

TEST(TextTasks, PromptsStandBeforeTheTextsOfEmbeddings) {
  Json about = cases_of("classify")[0];
  about["case"] = "bert/no_types";
  about["config"] = Json::object();
  const Folder folder(about);
  folder.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
  folder.write("config_sentence_transformers.json",
               R"({"prompts": {"query": "who is ", "document": "in the "}, "default_prompt_name": "query"})");
  const auto embedding = [&](const std::string& text, std::optional<std::string> prompt,
                             std::optional<std::string> name) {
    TaskOptions options;
    options.task = "embed";
    options.prompt = std::move(prompt);
    options.prompt_name = std::move(name);
    return std::get<VectorAnswer>(ask(*Task::create(folder.path(), options), {"0", text}).value).embedding;
  };
  const auto query = embedding("who is anna", "", {}), document = embedding("in the anna", "", {});
  EXPECT_NE(query, document);
  EXPECT_EQ(embedding("anna", {}, {}), query) << "the default";
  EXPECT_EQ(embedding("anna", {}, "document"), document);
  EXPECT_EQ(embedding("anna", "in the ", {}), document);
  EXPECT_NE(refusal([&] { embedding("anna", {}, "passage"); }).find("query"), std::string::npos);
  EXPECT_NE(refusal([&] { embedding("anna", "a", "query"); }).find("given twice"), std::string::npos);
  folder.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "include_prompt": false})");
  EXPECT_NE(refusal([&] { embedding("anna", "a", {}); }).find("out of its pooling"), std::string::npos);
}

}  // namespace
}  // namespace wattle
