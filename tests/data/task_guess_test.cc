#include "data/task_guess.h"

#include "files_of_test.h"

namespace wattle {
namespace {

class TaskGuessTest : public FilesTest {
 protected:
  TaskGuess guess(const std::string& name, const std::string& bytes, const TaskFields& named = {}) {
    return guess_task(write(name, bytes), named);
  }
  /// The same row often.
  std::string task_of(const std::string& row) {
    std::string rows;
    for (int i = 0; i < 12; ++i) rows += row + "\n";
    return guess("rows.jsonl", rows).task;
  }
};

TEST_F(TaskGuessTest, ColumnsThatOnlyOneTaskHas) {
  EXPECT_EQ(task_of(R"({"question": "who?", "context": "I did.", "answers": ["I"]})"), "answer");
  EXPECT_EQ(task_of(R"({"question": "who?", "choices": ["I", "you"], "label": 0})"), "choose");
  EXPECT_EQ(task_of(R"({"tokens": ["Ada"], "ner_tags": ["B-PER"]})"), "tag");
  EXPECT_EQ(task_of(R"({"query": "q", "positive": ["a"], "negative": ["b"]})"), "rank");
  EXPECT_EQ(task_of(R"({"sentence1": "a", "sentence2": "b", "score": 3.5})"), "similarity");
  EXPECT_EQ(task_of(R"({"dialogue": "a: b", "summary": "c", "id": 3})"), "summarise");
  EXPECT_EQ(task_of(R"({"prompt": "a", "completion": "b"})"), "generate");
  EXPECT_EQ(task_of(R"({"text": "a", "translation": "b"})"), "translate");
  EXPECT_EQ(task_of(R"({"text": "a [MASK] sky", "target": "blue"})"), "fill");
}

TEST_F(TaskGuessTest, ATextWithALabel) {
  const TaskGuess plain = guess("a.csv", "text,label\nhello,yes\nword,no\n");
  EXPECT_EQ(plain.task, "classify");
  const TaskGuess usual = guess("b.csv", "n,message,kind\n1,a late flight,bad\n2,a fine flight,good\n");
  EXPECT_EQ(usual.task, "classify");
  EXPECT_EQ(usual.fields, (TaskFields{{"text", "message"}, {"label", "kind"}}));
  EXPECT_EQ(usual.why, "the text message and the label kind");
  const TaskGuess named = guess("c.csv", "a,b\nx,y\nz,w\n", {{"text", "a"}, {"label", "b"}});
  EXPECT_EQ(named.task, "classify");
}

TEST_F(TaskGuessTest, ALabelBesideColumnsThatAreNoTexts) {
  const TaskGuess classes = guess("a.csv", "age,trade,class\n30,baker,low\n50,pilot,high\n");
  EXPECT_EQ(classes.task, "table");
  EXPECT_EQ(classes.fields, (TaskFields{{"label", "class"}}));
  const TaskGuess numbers = guess("b.csv", "age,pay\n30,1.5\n50,2\n", {{"label", "pay"}});
  EXPECT_EQ(numbers.fields, (TaskFields{{"score", "pay"}}));
  std::string rows = "age,grade\n";
  for (int i = 0; i < 40; ++i) rows += fmt::format("{},{}\n", i, i % 21);
  EXPECT_EQ(table_fields(write("c.csv", rows), "grade"), (TaskFields{{"score", "grade"}}));
  rows = "age,grade\n";
  for (int i = 0; i < 40; ++i) rows += fmt::format("{},{}\n", i, i % 5);
  EXPECT_EQ(table_fields(write("d.csv", rows), "grade"), (TaskFields{{"label", "grade"}}));
}

TEST_F(TaskGuessTest, DoubtIsAnError) {
  const auto sentence = [&](const std::string& bytes, const TaskFields& named = {}) {
    return sentence_of([&] { guess("rows.csv", bytes, named); });
  };
  EXPECT_NE(
      sentence("left,right\none thing,another thing\nsome more,and more\n").find("(left, right) may be"),
      std::string::npos);
  EXPECT_NE(sentence("notes,label\na b c,x\nd e f,y\n").find("may be several things"), std::string::npos)
      << "a column of texts is no column of a table, and has no usual name";
}

}  // namespace
}  // namespace wattle
