#include <cmath>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "tasks/pipelines.h"
#include "tasks/tag_scheme.h"

// Tasks of models' own heads, from rows to answers.

namespace wattle {
namespace {

using namespace pipelines;

void expect_spans(const std::vector<Span>& spans, const Json& wanted, const char* text,
                  const std::string& what) {
  ASSERT_EQ(spans.size(), wanted.size()) << what;
  for (size_t i = 0; i < spans.size(); ++i) {
    const Json& want = wanted[i];
    EXPECT_EQ(spans[i].begin_code_point, want["start"]) << what << " " << i;
    EXPECT_EQ(spans[i].end_code_point, want["end"]) << what << " " << i;
    EXPECT_EQ(spans[i].text, want[text]) << what << " " << i;
    EXPECT_EQ(spans[i].label, want.value("label", "")) << what << " " << i;
    EXPECT_NEAR(spans[i].score, want["score"].get<double>(), kTolerance) << what << " " << i;
  }
}

TEST(Heads, ClassifyAsThePipeline) {
  for (const Json& about : cases_of("classify")) {
    const Folder folder(about);
    const auto task = task_of(folder, "classify");
    for (const Json& row : about["rows"]) {
      const Answer answer = ask(*task, question_of(row));
      const auto& value = std::get<LabelAnswer>(answer.value);
      EXPECT_EQ(value.name(), row["labels"][0]["label"]) << about["case"] << row["text"];
      ASSERT_EQ(value.scores.size(), row["labels"].size());
      for (const Json& label : row["labels"]) {
        const auto name = std::ranges::find(*value.names, label["label"].get<std::string>());
        ASSERT_NE(name, value.names->end());
        EXPECT_NEAR(value.scores[static_cast<size_t>(name - value.names->begin())],
                    label["score"].get<double>(), kTolerance)
            << about["case"] << row["text"];
      }
    }
  }
}

TEST(Heads, FillAsThePipeline) {
  for (const Json& about : cases_of("fill")) {
    const Folder folder(about);
    const auto task = task_of(folder, "fill", {.top = 7});
    for (const Json& row : about["rows"]) {
      const Answer answer = ask(*task, question_of(row));
      const auto& masks = std::get<FillsAnswer>(answer.value).masks;
      ASSERT_EQ(masks.size(), row["masks"].size()) << row["text"];
      for (size_t m = 0; m < masks.size(); ++m) {
        ASSERT_EQ(masks[m].size(), 7u);
        for (size_t k = 0; k < 7; ++k) {
          const Json& want = row["masks"][m][k];
          EXPECT_EQ(masks[m][k].id, want["token"]) << row["text"];
          EXPECT_EQ(masks[m][k].token, want["token_str"]) << row["text"];
          EXPECT_EQ(masks[m][k].text, want["sequence"]) << row["text"];
          EXPECT_NEAR(masks[m][k].score, want["score"].get<double>(), kTolerance) << row["text"];
        }
      }
    }
    EXPECT_EQ(
        std::get<FillsAnswer>(ask(*task_of(folder, ""), question_of(about["rows"][0])).value).masks[0].size(),
        5u);
    // Marked as another family marks: the same question.
    std::string text = about["rows"][0]["text"];
    const bool own = text.find("[MASK]") != std::string::npos;
    const std::string mark = own ? "[MASK]" : "<mask>", other = own ? "<mask>" : "[MASK]";
    const Answer as_marked = ask(*task, {"0", text});
    for (size_t at; (at = text.find(mark)) != std::string::npos;) text.replace(at, mark.size(), other);
    EXPECT_EQ(to_json(ask(*task, {"0", text})), to_json(as_marked));
    const std::string none = refusal([&] { ask(*task, {"3", std::string("no such place")}); });
    EXPECT_NE(none.find("row 3: has no "), std::string::npos) << none;
    std::string longest = about["rows"][0]["text"];
    for (int i = 0; i < 100; ++i) longest += " anna";
    EXPECT_NE(refusal([&] { ask(*task, {"3", longest}); }).find("shorten it"), std::string::npos);
    EXPECT_NE(refusal([&] {
                ask(*task, {"3", TextPair{"a", "b"}});
              }).find("a pair of texts"),
              std::string::npos);
  }
}

TEST(Heads, TagAsThePipeline) {
  using Join = HeadOptions::Join;
  const std::map<std::string, Join> joins = {{"none", Join::kNone},
                                             {"simple", Join::kSimple},
                                             {"first", Join::kFirst},
                                             {"average", Join::kAverage},
                                             {"max", Join::kMax}};
  for (const Json& about : cases_of("tag")) {
    const Folder folder(about);
    std::map<std::string, std::unique_ptr<Task>> tasks;
    for (const Json& row : about["rows"]) {
      HeadOptions options{.join = joins.at(row["join"])};
      if (row.contains("overlap")) options.overlap = row["overlap"].get<int64_t>();
      auto& task = tasks[row["join"].get<std::string>() + row.value("overlap", Json()).dump()];
      if (!task) task = task_of(folder, "tag", options);
      const Answer answer = ask(*task, question_of(row));
      const std::string what = about["case"].get<std::string>() + " " + row["join"].get<std::string>() + " " +
                               row["text"].get<std::string>();
      const auto& spans = std::get<SpansAnswer>(answer.value).spans;
      expect_spans(spans, row["spans"], "text", what);
      const std::string text = row["text"];
      for (const Span& span : spans) {
        EXPECT_EQ(text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin)),
                  span.text);
      }
    }
    const HeadOptions none{.join = Join::kNone, .overlap = 3}, wide{.overlap = 500};
    EXPECT_NE(refusal([&] { task_of(folder, "tag", none); }).find("joined"), std::string::npos);
    EXPECT_NE(refusal([&] { task_of(folder, "tag", wide); }).find("smaller overlap"), std::string::npos);
  }
}

TEST(Heads, AnswerAsThePipeline) {
  for (const Json& about : cases_of("answer")) {
    const Folder folder(about);
    std::map<std::string, std::unique_ptr<Task>> tasks;
    for (const Json& row : about["rows"]) {
      const Json& given = row["options"];
      HeadOptions options;
      options.top = given.value("top_k", 0);
      options.no_answer = given.value("handle_impossible_answer", false);
      options.longest_answer = given.value("max_answer_len", 15);
      options.window = given.value("max_seq_len", 0);
      if (given.contains("doc_stride")) options.overlap = given["doc_stride"].get<int64_t>();
      auto& task = tasks[given.dump()];
      if (!task) task = task_of(folder, "answer", options);
      const Answer answer = ask(*task, question_of(row));
      const auto& value = std::get<SpansAnswer>(answer.value);
      expect_spans(value.spans, row["answers"], "answer", about["case"].get<std::string>() + row.dump());
      EXPECT_EQ(value.text, value.spans[0].text);
    }
    const auto task = task_of(folder, "");
    std::string longest;
    for (int i = 0; i < 100; ++i) longest += "anna ";
    const std::string question = refusal([&] { ask(*task, {"4", TextPair{longest, "Anna is in Paris."}}); });
    EXPECT_NE(question.find("row 4: the question has "), std::string::npos) << question;
    EXPECT_NE(refusal([&] { ask(*task, {"4", std::string("who")}); }).find("`context`"), std::string::npos);
    EXPECT_NE(refusal([&] { ask(*task, {"4", TextPair{"who", ""}}); }).find("is empty"), std::string::npos);
  }
}

TEST(Heads, SchemesOfLabels) {
  const std::vector<std::string> bio = {"O", "B-X", "I-X", "I-Y"}, bioes = {"O", "B-X", "I-X", "E-X", "S-X"},
                                 io = {"O", "X", "semi-final"};
  const auto runs = [](const std::vector<std::string>& labels, const std::vector<int>& pieces) {
    std::vector<TaggedPiece> tagged;
    for (const int label : pieces) tagged.push_back({{}, label, 1});
    std::string text;
    const TagScheme scheme(labels);
    for (const auto& run : scheme.runs(tagged)) {
      text += std::string(run.name) + std::to_string(run.first) + std::to_string(run.last) + " ";
    }
    return text;
  };
  EXPECT_EQ(runs(bio, {0, 1, 2, 1, 2, 3, 3, 2}), "O00 X12 X34 Y56 X77 ");
  EXPECT_EQ(runs(bioes, {1, 2, 3, 2, 4, 4, 1, 3}), "X02 X33 X44 X55 X67 ");
  EXPECT_EQ(runs(io, {1, 1, 0, 2, 2, 1}), "X01 O22 semi-final34 X55 ");
}

/// The golden model of three labels with the first of them alone.
std::unique_ptr<TemporaryDirectory> folder_of_one_output(const Json& about, const Json& more) {
  const std::filesystem::path stored = kGolden / "families" / (about["case"].get<std::string>() + ".json");
  Json json = Json::parse(std::ifstream(stored));
  json["config"]["id2label"] = {{"0", "LABEL_0"}};
  json["config"].update(more);
  for (Json& tensor : json["tensors"]) {
    if (tensor["name"].get<std::string>().starts_with("classifier")) tensor["shape"][0] = 1;
  }
  TemporaryDirectory place;
  const auto path = place.write("one.json", json.dump());
  std::filesystem::copy(std::filesystem::path(stored).replace_extension(".f32"), place.path() / "one.f32");
  auto folder = golden::Case(path).write_folder();
  folder->write("tokenizer.json", about["tokenizer"].dump());
  folder->write("tokenizer_config.json", about["tokenizer_config"].dump());
  return folder;
}

TEST(Heads, RankAsCrossEncoders) {
  const Json about = cases_of("classify")[2];  // raw logits
  ASSERT_EQ(about["config"]["problem_type"], "regression");
  const auto plain = folder_of_one_output(about, {{"problem_type", nullptr}});
  const auto raw =
      folder_of_one_output(about, {{"sentence_transformers", {{"activation_fn", "torch.nn.Identity"}}}});
  const auto unknown =
      folder_of_one_output(about, {{"sentence_transformers", {{"activation_fn", "torch.nn.GELU"}}}});
  const auto score = [](const std::string& path, const std::string& name, const Question& question,
                        bool wants_raw) {
    TaskOptions options;
    options.task = name;
    options.head.raw_scores = wants_raw;
    return std::get<ScoreAnswer>(ask(*Task::create(path, options), question).value).score;
  };
  for (const Json& row : about["rows"]) {
    const Question question = question_of(row);
    double logit = 0;
    for (const Json& label : row["labels"]) {
      if (label["label"] == "no") logit = label["score"];
    }
    const double probability = 1 / (1 + std::exp(-logit));
    EXPECT_NEAR(score(plain->path().string(), "classify", question, false), probability, kTolerance);
    if (!row.contains("text_pair")) {
      EXPECT_NE(refusal([&] { score(plain->path().string(), "rank", question, false); }).find("two texts"),
                std::string::npos);
      continue;
    }
    EXPECT_NEAR(score(plain->path().string(), "rank", question, false), probability, kTolerance);
    EXPECT_NEAR(score(plain->path().string(), "rank", question, true), logit, kTolerance * std::abs(logit));
    EXPECT_NEAR(score(raw->path().string(), "rank", question, false), logit, kTolerance * std::abs(logit));
  }
  EXPECT_NE(refusal([&] { Task::create(unknown->path().string(), {.task = "rank"}); }).find("torch.nn.GELU"),
            std::string::npos);
}

TEST(Heads, LabelsAreNeeded) {
  const Json about = cases_of("classify")[0];
  const auto classify = [&](const Json& labels, const char* task) {
    golden::Changes changes;
    changes.config = {{"id2label", labels}};
    return refusal([&] { task_of(Folder(about, changes), task); });
  };
  EXPECT_NE(classify(nullptr, "classify").find("has 3 outputs and names 0 labels"), std::string::npos);
  EXPECT_NE(classify(nullptr, "rank").find("has 3 outputs, and ranking"), std::string::npos);
  const std::string fewer = classify({{"2", nullptr}}, "classify");
  EXPECT_NE(fewer.find("3"), std::string::npos) << fewer;
}

}  // namespace
}  // namespace wattle
