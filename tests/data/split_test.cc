#include "data/split.h"

#include <set>

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "data/folded.h"

namespace wattle {
namespace {

using Texts = std::vector<std::string>;

struct Drawn {
  Texts texts;
  std::vector<int> classes;
};

Drawn drawn(int rows, int classes) {
  Drawn set;
  for (int i = 0; i < rows; ++i) {
    set.texts.push_back(fmt::format("Text number {}", i));
    set.classes.push_back(i % classes);
  }
  return set;
}

TEST(SplitRows, ByClassAndSaltedByTheSeed) {
  const Drawn set = drawn(500, 3);
  const std::vector<bool> one = split_rows(set.texts, set.classes, 0.2, 1);
  std::vector<int> eval(3);
  for (size_t i = 0; i < one.size(); ++i) eval[static_cast<size_t>(set.classes[i])] += one[i] ? 1 : 0;
  for (const int count : eval) EXPECT_EQ(count, 33);
  EXPECT_EQ(one, split_rows(set.texts, set.classes, 0.2, 1));
  EXPECT_NE(one, split_rows(set.texts, set.classes, 0.2, 2));
}

TEST(SplitRows, TextsThatDifferInCaseAndSpaceStayTogether) {
  Drawn set = drawn(200, 2);
  const size_t n = set.texts.size();
  for (size_t i = 0; i < n; ++i) {
    set.texts.push_back("  TEXT  number " + std::to_string(i) + (i % 2 == 0 ? "\n" : ""));
    set.classes.push_back(set.classes[i]);
  }
  const std::vector<bool> eval = split_rows(set.texts, set.classes, 0.3, 7);
  for (size_t i = 0; i < n; ++i) EXPECT_EQ(eval[i], eval[n + i]) << i;
  EXPECT_EQ(std::count(eval.begin(), eval.end(), true), 120);
}

TEST(SplitRows, DoesNotDependOnTheOrderOfLikeTexts) {
  const Texts texts = {"a", "A", "b", "c", "d"}, other = {"A", "a", "b", "c", "d"};
  const std::vector<int> classes(5);
  EXPECT_EQ(split_rows(texts, classes, 0.5, 1), split_rows(other, classes, 0.5, 1));
}

TEST(SplitRows, NoSideIsEmptyWhereThereAreTwoTexts) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    for (const std::vector<int>& classes : {std::vector<int>{0, 0}, std::vector<int>{0, 1}}) {
      const std::vector<bool> eval = split_rows({"a", "b"}, classes, 0.2, seed);
      EXPECT_NE(eval[0], eval[1]);
    }
  }
  EXPECT_EQ(split_rows({"a", "A"}, {0, 0}, 0.2, 1), (std::vector<bool>{false, false})) << "one text";
}

TEST(DrawRows, DrawsBySeedInOrder) {
  const Drawn set = drawn(100, 1);
  const std::vector<size_t> rows = draw_rows(set.texts, 30, 1);
  EXPECT_EQ(rows.size(), 30u);
  EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end()));
  EXPECT_NE(rows, draw_rows(set.texts, 30, 2));
  EXPECT_EQ(draw_rows(set.texts, 0, 1).size(), 100u);
  EXPECT_EQ(draw_rows(set.texts, 200, 1).size(), 100u);
}

TEST(Remarks, RepeatsAndConflictsAreCounted) {
  EXPECT_EQ(repeat_remarks({"a", "b"}, {0, 1}), Texts());
  EXPECT_EQ(repeat_remarks({"a", "a", "b"}, {0, 0, 1}), (Texts{"1 row repeats the text of another"}));
  const Texts remarks = repeat_remarks({"a", "A ", "b", "b", "b", "c"}, {0, 1, 1, 1, 0, 0});
  ASSERT_EQ(remarks.size(), 2u);
  EXPECT_EQ(remarks[0], "3 rows repeat the text of another, 1 of them but for case, white space or width");
  EXPECT_EQ(remarks[1],
            "2 texts have more than one label (\"a\"): no answer can be right for all their rows");
  EXPECT_EQ(repeat_remarks({"a", "a"}, {}).size(), 1u);
}

TEST(Remarks, OverlapOfTwoFiles) {
  EXPECT_EQ(overlap_remarks({"a", "b"}, {"c"}), Texts());
  const Texts remarks = overlap_remarks({"a", "b"}, {"A", "b ", "c"});
  ASSERT_EQ(remarks.size(), 1u);
  EXPECT_EQ(remarks[0].find("2 evaluation rows have texts that are also for training"), 0u) << remarks[0];
}

TEST(Remarks, RareClasses) {
  const Texts names = {"many", "few", "once", "never learnt"};
  std::vector<int> train(20, 0), eval(5, 0);
  for (const int few : {1, 1, 1, 1, 2}) train.push_back(few);
  for (const int asked : {1, 3, 3}) eval.push_back(asked);
  EXPECT_EQ(class_remarks(train, eval, names),
            (Texts{"no training row has the label \"never learnt\"",
                   "fewer than 5 training rows have the labels \"few\" (4), \"once\" (1)",
                   "a single row has the label \"once\"",
                   "no evaluation row has the label \"once\"; its quality is not known"}));
  EXPECT_EQ(class_remarks({}, {0, 0, 1, 1}, {"a", "b"}), Texts());
  train.push_back(1);
  EXPECT_EQ(class_remarks(train, eval, names)[1], "fewer than 5 training rows have the label \"once\" (1)");
}

TEST(AllText, TellsQuestionsApart) {
  EXPECT_EQ(all_text({"0", "one"}), "one");
  EXPECT_NE(all_text({"0", TextPair{"a", "bc"}}), all_text({"0", TextPair{"ab", "c"}}));
  EXPECT_NE(all_text({"0", Ranking{"q", {"a", "b"}}}), all_text({"0", Ranking{"q", {"a", "c"}}}));
  EXPECT_NE(all_text({"0", MultipleChoice{"q", {"a", "b"}}}),
            all_text({"0", MultipleChoice{"q", {"b", "a"}}}));
  EXPECT_EQ(all_text({"0", TokenIds{{1, 2}, {}, {}}}), "1 2");
}

}  // namespace
}  // namespace wattle
