#include "data/task_rows.h"

#include <fmt/ranges.h>

#include "files_of_test.h"

namespace wattle {
namespace {

using Texts = std::vector<std::string>;

class TaskRowsTest : public FilesTest {
 protected:
  TaskRows read(std::string_view task, const std::string& rows, const TaskFields& fields = {},
                const std::string& name = "rows.jsonl") const {
    return read_task_rows(write(name, rows), task, fields);
  }
  std::string refusal(std::string_view task, const std::string& rows, const TaskFields& fields = {}) const {
    return sentence_of([&] { read(task, rows, fields); });
  }
};

const std::string& text_at(const TaskRows& rows, size_t i) {
  return std::get<std::string>(rows.questions.at(i).content);
}
const TextPair& pair_at(const TaskRows& rows, size_t i) {
  return std::get<TextPair>(rows.questions.at(i).content);
}
const std::string& label_at(const TaskRows& rows, size_t i) {
  return std::get<LabelTruth>(rows.truths.at(i)).label;
}
const Texts& texts_at(const TaskRows& rows, size_t i) {
  return std::get<TextsTruth>(rows.truths.at(i)).texts;
}

#define EXPECT_SAYS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

TEST_F(TaskRowsTest, ClassifyTextsAndPairs) {
  TaskRows rows = read("classify", R"({"id": 7, "sentence": "good", "label": "Pos"}
{"sentence": "fine", "label": "pos"}
{"sentence": "great", "label": "pos "}
{"sentence": "bad", "label": "neg"}
{"sentence": " ", "label": "neg"}
)");
  ASSERT_EQ(rows.questions.size(), 4u);
  EXPECT_EQ(text_at(rows, 0), "good");
  EXPECT_EQ(rows.questions[0].id, "7");
  EXPECT_EQ(rows.questions[3].id, "3");
  EXPECT_EQ(rows.labels.size(), 2u);
  EXPECT_EQ(label_at(rows, 0), label_at(rows, 2));
  EXPECT_EQ(label_at(rows, 3), "neg");
  const std::string said = fmt::format("{}", fmt::join(rows.remarks, "; "));
  EXPECT_SAYS(said, "read `sentence` as the text");
  EXPECT_SAYS(said, "1 of 5 rows was left out");
  EXPECT_SAYS(said, "row 4 (line 5): its text is blank");
  EXPECT_SAYS(said, "are one label");

  rows = read("classify", "premise;hypothesis;gold_label\na;b;0\nc;d;1.0\n", {}, "a.csv");
  EXPECT_EQ(pair_at(rows, 1).first + pair_at(rows, 1).second, "cd");
  EXPECT_EQ(rows.labels, (Texts{"0", "1"}));
  const auto path = write("b.jsonl", "{\"text\": \"a\", \"label\": 1}\n");
  EXPECT_EQ(label_at(read_task_rows(path, "classify", {}, {"no", "yes"}), 0), "yes");
  EXPECT_SAYS(sentence_of([&] { read_task_rows(path, "classify", {}, {"no"}); }),
              "none of the 1 known labels");
}

TEST_F(TaskRowsTest, FieldsAreNamedOrGuessed) {
  const std::string rows = "{\"a\": \"x\", \"b\": {\"c\": \"y\"}}\n";
  EXPECT_EQ(texts_at(read("translate", rows, {{"text", "a"}, {"reference", "b.c"}}), 0), (Texts{"y"}));
  EXPECT_SAYS(refusal("translate", rows),
              "no field for the text of the task translate (text, source, src, input); "
              "name one of: a, b");
  EXPECT_SAYS(refusal("translate", rows, {{"text", "z"}}),
              "no row has the field 'z' for the text; name one of: a, b");
  EXPECT_SAYS(refusal("translate", rows, {{"label", "a"}}),
              "the task translate has no part \"label\"; name fields for text, reference");
  EXPECT_SAYS(refusal("sing", rows), "there are no rows of a task \"sing\"; take one of classify, tag");
  EXPECT_SAYS(refusal("tag", rows, {{"label", "a"}}), "has no part \"label\"");
  // A field that most rows lack is none of the set's.
  const TaskRows few = read("summarise",
                            "{\"text\": \"t\", \"document\": \"d\", \"summary\": \"s\"}\n"
                            "{\"document\": \"e\", \"summary\": \"s\"}\n"
                            "{\"document\": \"f\", \"summary\": \"s\"}\n");
  EXPECT_EQ(text_at(few, 0), "d");
}

TEST_F(TaskRowsTest, TooManyBadRowsAreAnError) {
  const std::string good = "{\"text\": \"a\", \"summary\": \"b\"}\n",
                    bad = "{\"text\": \"a\", \"summary\": 1.5, \n";
  EXPECT_EQ(read("summarise", good + bad + good + bad).questions.size(), 2u);
  EXPECT_SAYS(refusal("summarise", good + bad + bad), "2 of 3 rows cannot be read");
  EXPECT_SAYS(refusal("summarise", good + "{\"text\": null, \"summary\": \"b\"}\n" + bad), "2 of 3 rows");
}

TEST_F(TaskRowsTest, TagsFromJsonAndColumns) {
  const std::string conll =
      "-DOCSTART- -X- O O\n\nZo\xC3\xAB NNP B-NP B-PER\nlives VB O O\nin IN O O\nNew NNP B-NP B-LOC\nYork "
      "NNP I-NP "
      "I-LOC\n\nNo DT O O\n";
  const TaskRows rows = read("tag", conll, {}, "a.conll");
  ASSERT_EQ(rows.questions.size(), 2u);
  EXPECT_EQ(text_at(rows, 0), "Zo\xC3\xAB lives in New York");
  const auto& spans = std::get<SpansTruth>(rows.truths[0]).spans;
  ASSERT_EQ(spans.size(), 2u);
  EXPECT_EQ(spans[1].label, "LOC");
  EXPECT_EQ(spans[1].text, "New York");
  EXPECT_EQ(spans[1].begin, 14);
  EXPECT_EQ(spans[1].begin_code_point, 13);
  EXPECT_EQ(spans[1].end, 22);
  EXPECT_EQ(spans[1].end_code_point, 21);
  EXPECT_TRUE(std::get<SpansTruth>(rows.truths[1]).spans.empty());
  EXPECT_EQ(rows.labels, (Texts{"B-LOC", "B-PER", "I-LOC", "O", "I-PER"}));

  const TaskRows json =
      read("tag", R"({"text": "Zoë lives", "entities": [{"start": 0, "end": 3, "label": "PER"}]}
{"text": "cut", "entities": [{"start": 0, "end": 9, "label": "PER"}]}
{"text": "nothing", "entities": []}
)");
  ASSERT_EQ(json.questions.size(), 2u);
  EXPECT_EQ(std::get<SpansTruth>(json.truths[0]).spans.at(0).text, "Zo\xC3\xAB");
  EXPECT_SAYS(json.remarks.at(0), "1 of 3 rows was left out");
  // Comments before a sentence, a word that is a number sign, tabs.
  const TaskRows tabs = read("tag", "# id 1 of 2\n#\tO\nbig apple\tB-LOC\n", {}, "b.iob");
  EXPECT_EQ(text_at(tabs, 0), "# big apple");
}

TEST_F(TaskRowsTest, AnswersInEveryForm) {
  const TaskRows rows = read(
      "answer",
      R"({"id": "x", "question": "who", "context": "Ada did", "answers": [{"text": "Ada", "start": 0}, {"text": "Ada", "start": 0}]}
{"question": "who", "context": "Ada did", "answers": {"text": ["Ada", "Ada did"], "answer_start": [0, 0]}}
{"question": "who", "context": "Ada did", "answers": ["Ada"]}
{"question": "who", "context": "Ada did", "answers": "Ada"}
{"question": "who", "context": "Ada did", "answers": {"text": [], "answer_start": []}}
{"question": "who", "context": "Ada did", "answers": [{"text": "Ada"}], "is_impossible": true}
{"question": "who", "context": "Ada did", "answers": ["Bob"]}
{"question": "who", "context": "Ada did"}
)");
  ASSERT_EQ(rows.questions.size(), 7u);
  EXPECT_EQ(rows.questions[0].id, "\"x\"");
  EXPECT_EQ(pair_at(rows, 0).first, "who");
  EXPECT_EQ(pair_at(rows, 0).second, "Ada did");
  EXPECT_EQ(texts_at(rows, 0), (Texts{"Ada"}));
  EXPECT_EQ(texts_at(rows, 1), (Texts{"Ada", "Ada did"}));
  EXPECT_EQ(texts_at(rows, 2), (Texts{"Ada"}));
  EXPECT_EQ(texts_at(rows, 3), (Texts{"Ada"}));
  EXPECT_EQ(texts_at(rows, 4), Texts());
  EXPECT_EQ(texts_at(rows, 5), Texts());
  const std::string said = fmt::format("{}", fmt::join(rows.remarks, "; "));
  EXPECT_SAYS(said, "the answers of 1 row are not in their context, as written (the first: id 6)");
  EXPECT_SAYS(said, "row 7 (line 8): has no answers");
}

TEST_F(TaskRowsTest, ArticlesAsSquadHasThem) {
  const std::string squad = R"({"version": "v2.0", "data": [{"title": "A", "paragraphs": [
 {"context": "Ada wrote notes.", "qas": [
  {"id": "1", "question": "Who?", "answers": [{"text": "Ada", "answer_start": 0}], "is_impossible": false},
  {"id": "2", "question": "When?", "answers": [], "plausible_answers": [{"text": "notes"}], "is_impossible": true}]},
 {"context": "Bob read.", "qas": [{"id": "3", "question": "Who?", "answers": [{"text": "Bob", "answer_start": 0}]}]}]}]})";
  const TaskRows rows = read("answer", squad, {}, "dev-v2.0.json");
  ASSERT_EQ(rows.questions.size(), 3u);
  EXPECT_EQ(rows.questions[1].id, "\"2\"");
  EXPECT_EQ(pair_at(rows, 2).second, "Bob read.");
  EXPECT_EQ(texts_at(rows, 0), (Texts{"Ada"}));
  EXPECT_EQ(texts_at(rows, 1), Texts());
}

TEST_F(TaskRowsTest, MaskedWords) {
  const TaskRows rows = read("fill", R"({"text": "a [MASK] b", "target": "x"}
{"text": "a <mask> b", "target": "y"}
{"text": "no mark", "target": "y"}
{"text": "[MASK] and [MASK]", "target": "y"}
)");
  ASSERT_EQ(rows.questions.size(), 2u);
  EXPECT_EQ(texts_at(rows, 1), (Texts{"y"}));
  EXPECT_SAYS(rows.remarks.at(0), "row 2 (line 3): its text has 0 places marked");
  EXPECT_SAYS(rows.remarks.at(0), "row 3 (line 4): its text has 2 places marked");
}

TEST_F(TaskRowsTest, TextsToBeWritten) {
  TaskRows rows = read("generate", R"({"prompt": "say a", "text": "long"}
{"prompt": "say b", "answer": 42}
{"prompt": "say c", "answer": ["x", "y", "x", " "]}
)",
                       {{"reference", "answer"}});
  EXPECT_EQ(text_at(rows, 0), "say a");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(rows.truths[0]));
  EXPECT_EQ(texts_at(rows, 1), (Texts{"42"}));
  EXPECT_EQ(texts_at(rows, 2), (Texts{"x", "y"}));
  rows =
      read("generate",
           R"({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]})");
  EXPECT_EQ(rows.questions[0].conversation()->messages.size(), 1u);
  EXPECT_EQ(texts_at(rows, 0), (Texts{"yes"}));
  rows = read("summarise", "article,highlights\nlong,short\n", {}, "a.csv");
  EXPECT_EQ(text_at(rows, 0), "long");
  EXPECT_EQ(texts_at(rows, 0), (Texts{"short"}));
  EXPECT_SAYS(rows.remarks.at(0), "read `article` as the text, `highlights` as the reference");
  rows = read("translate", R"({"translation": {"en": "dog", "de": "Hund"}})",
              {{"text", "translation.en"}, {"reference", "translation.de"}});
  EXPECT_EQ(text_at(rows, 0) + texts_at(rows, 0)[0], "dogHund");
  rows = read("perplexity", "one\n\ntwo\n", {}, "a.txt");
  ASSERT_EQ(rows.questions.size(), 1u);
  EXPECT_EQ(text_at(rows, 0), "one\n\ntwo\n");
}

TEST_F(TaskRowsTest, PairsWithAScore) {
  const TaskRows rows =
      read("similarity", "sentence1\tsentence2\tscore\na\tb\t4.5\nc\td\t x\ne\tf\t-1e1\n", {}, "a.tsv");
  ASSERT_EQ(rows.questions.size(), 2u);
  EXPECT_EQ(std::get<ScoreTruth>(rows.truths[0]).score, 4.5);
  EXPECT_EQ(std::get<ScoreTruth>(rows.truths[1]).score, -10);
  EXPECT_SAYS(fmt::format("{}", fmt::join(rows.remarks, "; ")), "which is no number");
}

TEST_F(TaskRowsTest, RankingsInEveryForm) {
  const TaskRows rows = read("rank", R"({"query": "q", "documents": ["a", "b"], "relevance": [0, 2]}
{"query": "q", "documents": [{"text": "a", "relevance": 1}, {"text": "b", "relevance": 0}]}
{"query": "q", "documents": ["a", "b"], "relevance": [1]}
)");
  ASSERT_EQ(rows.questions.size(), 2u);
  EXPECT_EQ(std::get<Ranking>(rows.questions[0].content).documents, (Texts{"a", "b"}));
  EXPECT_EQ(std::get<RelevanceTruth>(rows.truths[0]).relevance, (std::vector<double>{0, 2}));
  EXPECT_EQ(std::get<RelevanceTruth>(rows.truths[1]).relevance, (std::vector<double>{1, 0}));
  EXPECT_SAYS(fmt::format("{}", fmt::join(rows.remarks, "; ")), "2 documents and 1 numbers of relevance");
  const TaskRows lists = read("rank", R"({"query": "q", "positive": ["m", "z"], "negative": ["a", "n"]})");
  EXPECT_EQ(std::get<Ranking>(lists.questions[0].content).documents, (Texts{"a", "m", "n", "z"}));
  EXPECT_EQ(std::get<RelevanceTruth>(lists.truths[0]).relevance, (std::vector<double>{0, 1, 0, 1}));
}

TEST_F(TaskRowsTest, ChoicesByPlaceLetterAndWords) {
  const TaskRows rows = read("choose", R"({"question": "q", "choices": ["3", "1", "0"], "label": 0}
{"question": "q", "choices": ["3", "1", "0"], "label": "1"}
{"question": "q", "choices": ["cat", "dog"], "label": "B"}
{"question": "q", "choices": ["cat", "dog"], "label": " Dog"}
{"question": "q", "choices": {"text": ["cat", "dog"], "label": ["1", "2"]}, "label": "1"}
{"question": "q", "choices": ["cat", "cat"], "label": 1}
{"question": "q", "choices": ["cat", "dog"], "label": "E"}
)");
  ASSERT_EQ(rows.questions.size(), 5u);
  Texts labels;
  for (size_t i = 0; i < 5; ++i) labels.push_back(label_at(rows, i));
  EXPECT_EQ(labels, (Texts{"3", "1", "dog", "dog", "cat"}));
  EXPECT_SAYS(rows.remarks.at(0), "two or more texts that differ");
  EXPECT_SAYS(rows.remarks.at(0), "its label \"E\" is neither one of the 2 choices");
  const std::string row = R"({"question": "q", "support": "s", "choices": ["cat", "dog"], "label": )";
  EXPECT_SAYS(refusal("choose", row + "1}\n" + row + "2}\n"), "count from 1; count from 0");
  const TaskRows context = read("choose", row + "1}\n", {{"context", "support"}});
  EXPECT_EQ(std::get<MultipleChoice>(context.questions[0].content).question, "s\nq");
}

TEST_F(TaskRowsTest, FoldersAndPictures) {
  write("set/eval.jsonl", "{\"text\": \"a\", \"label\": 0}\n");
  write("set/meta.json", "{\"labels\": [\"no\", \"yes\"]}");
  EXPECT_EQ(label_at(read_task_rows(folder_ / "set", "classify"), 0), "no");
  EXPECT_SAYS(refusal("classify", "{\"file\": \"dog.jpg\", \"label\": 0}\n"),
              "its rows are pictures (`file`: \"dog.jpg\"), and tasks of pictures are not there yet");
}

// --- the evaluation data: every set by one call ---

struct SharedSet {
  std::string name;
  std::string task;
  size_t questions;
  size_t labels = 0;
};

class SharedRowsTest : public testing::TestWithParam<SharedSet> {};

TEST_P(SharedRowsTest, IsReadByOneCall) {
  if (!std::filesystem::exists(evaluation_data()))
    GTEST_SKIP() << "the evaluation data is not beside the checkout";
  const SharedSet& set = GetParam();
  const TaskRows rows = read_task_rows(evaluation_data() / set.name, set.task);
  EXPECT_EQ(rows.questions.size(), set.questions);
  EXPECT_EQ(rows.truths.size(), set.questions);
  EXPECT_EQ(rows.labels.size(), set.labels);
  EXPECT_EQ(rows.sha256.size(), 64u);
}

INSTANTIATE_TEST_SUITE_P(
    Sets, SharedRowsTest,
    testing::Values(SharedSet{"imdb", "classify", 500, 2}, SharedSet{"rotten_tomatoes", "classify", 1000, 2},
                    SharedSet{"sst2", "classify", 872, 2}, SharedSet{"sms_spam", "classify", 1000, 2},
                    SharedSet{"sentence_sentiment", "classify", 600, 2},
                    SharedSet{"banking77", "classify", 1000, 77}, SharedSet{"wikigold", "tag", 920, 9},
                    SharedSet{"wnut17", "tag", 644, 13}, SharedSet{"sciq", "choose", 499},
                    SharedSet{"squad", "answer", 583}, SharedSet{"squad_v2", "answer", 706},
                    SharedSet{"cloze", "fill", 800}, SharedSet{"aienergyscore_prompts", "generate", 500},
                    SharedSet{"wikinews", "generate", 250}, SharedSet{"wikinews", "perplexity", 250},
                    SharedSet{"wikitext2", "perplexity", 60}, SharedSet{"dialogsum", "summarise", 500},
                    SharedSet{"samsum", "summarise", 408}, SharedSet{"xsum", "summarise", 400}),
    [](const auto& info) { return info.param.name + "_" + info.param.task; });

TEST(SharedRows, HoldWhatTheirTasksAsk) {
  if (!std::filesystem::exists(evaluation_data()))
    GTEST_SKIP() << "the evaluation data is not beside the checkout";
  const TaskRows squad = read_task_rows(evaluation_data() / "squad_v2", "answer");
  const auto none = std::ranges::count_if(
      squad.truths, [](const Truth& truth) { return std::get<TextsTruth>(truth).texts.empty(); });
  EXPECT_EQ(none, 320);
  EXPECT_EQ(squad.remarks, Texts());
  const TaskRows sciq = read_task_rows(evaluation_data() / "sciq", "choose");
  EXPECT_SAYS(sciq.remarks.at(0), "1 of 500 rows was left out") << "one has a choice twice";
  for (size_t i = 0; i < sciq.questions.size(); ++i) {
    const Texts& choices = std::get<MultipleChoice>(sciq.questions[i].content).choices;
    EXPECT_EQ(choices.size(), 4u);
    EXPECT_NE(std::ranges::find(choices, label_at(sciq, i)), choices.end());
  }
  const TaskRows dialogues = read_task_rows(evaluation_data() / "dialogsum", "summarise");
  size_t references = 0;
  for (size_t i = 0; i < dialogues.truths.size(); ++i) references += texts_at(dialogues, i).size();
  EXPECT_GE(references, dialogues.truths.size());
  EXPECT_EQ(label_at(read_task_rows(evaluation_data() / "banking77", "classify"), 0),
            "edit_personal_details");
  for (const char* pictures : {"cifar10", "imagenet1k", "coco"}) {
    EXPECT_SAYS(sentence_of([&] { read_task_rows(evaluation_data() / pictures, "classify"); }), "pictures");
  }
}

}  // namespace
}  // namespace wattle
