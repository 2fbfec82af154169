#include "study/data.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

#include <fmt/ranges.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>

#include "base/sha256.h"
#include "study/cells.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

TEST(DealRows, EveryRowOnceAndPartsOfLikeLength) {
  std::vector<Question> rows;
  for (int i = 0; i < 103; ++i)
    rows.push_back({std::to_string(i), std::string(static_cast<size_t>(10 + (i * 37) % 200), 'x')});
  const auto parts = deal_rows(rows, 5);
  ASSERT_EQ(parts.size(), 5u);
  std::set<int64_t> seen;
  std::vector<double> means;
  for (const auto& part : parts) {
    double length = 0;
    for (const int64_t row : part) seen.insert(row), length += static_cast<double>(rows[row].text().size());
    means.push_back(length / static_cast<double>(part.size()));
  }
  EXPECT_EQ(seen.size(), rows.size());
  for (const double mean : means) EXPECT_NEAR(mean, means[0], 0.05 * means[0]);
  EXPECT_EQ(deal_rows({rows[0], rows[1]}, 5).size(), 2u);
}

/// How many rows of each label are held out.
std::map<int, int> held_out_of(const LabelledRows& rows, uint64_t seed) {
  const std::vector<bool> held_out = held_out_rows(rows, seed);
  std::map<int, int> counts;
  for (size_t row = 0; row < held_out.size(); ++row) counts[rows.labels[row]] += held_out[row] ? 1 : 0;
  return counts;
}

TEST(HeldOutRows, AFifthOfEachLabelByTheSeed) {
  LabelledRows rows;
  for (int i = 0; i < 400; ++i) {
    rows.rows.push_back({std::to_string(i), fmt::format("text {}", i)});
    rows.labels.push_back(i % 4 == 0 ? 1 : 0);
  }
  EXPECT_EQ(held_out_of(rows, 1), (std::map<int, int>{{0, 60}, {1, 20}}));
  EXPECT_EQ(held_out_rows(rows, 1), held_out_rows(rows, 1));
  EXPECT_NE(held_out_rows(rows, 1), held_out_rows(rows, 2));
}

TEST(HeldOutRows, FiftyOf250WhereLabelsHaveFewRows) {
  LabelledRows rows;
  for (int i = 0; i < 252; ++i) {  // a fifth of 7 rows rounds down to 1: 36 in all
    rows.rows.push_back({std::to_string(i), fmt::format("text {}", i)});
    rows.labels.push_back(i % 36);
  }
  for (const auto& [label, count] : held_out_of(rows, 1)) EXPECT_EQ(count, 2) << label;
  rows.rows.resize(210), rows.labels.resize(210);
  for (const auto& [label, count] : held_out_of(rows, 1)) EXPECT_EQ(count, 1) << label;
  rows.rows.resize(1), rows.labels.resize(1);
  EXPECT_EQ(held_out_rows(rows, 1), std::vector<bool>{false});
}

TEST(OrderOfRound, ComesFromTheSeed) {
  EXPECT_EQ(order_of_round(20, 1, 0), order_of_round(20, 1, 0));
  EXPECT_NE(order_of_round(20, 1, 0), order_of_round(20, 1, 1));
  EXPECT_NE(order_of_round(20, 1, 0), order_of_round(20, 2, 0));
}

class DataTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::temp_directory_path() / ("wattle-data-" + std::to_string(getpid()) + ".csv");
  }
  void TearDown() override { fs::remove(path_); }

  void write(int rows, int labels) const {
    std::ofstream file(path_);
    file << "message,kind\n";
    for (int i = 0; i < rows; ++i) file << "text number " << i << ",kind" << i % labels << "\n";
  }
  StudyData read(const std::string& more = "") const {
    Plan plan = parse_plan("data: x\ntext: message\nlabel: kind\nrungs: [{kind: linear}]\n" + more, "p");
    return read_data(plan, [this](const std::string&) { return path_; });
  }

  fs::path path_;
};

TEST_F(DataTest, SplitsOneFileByHashWithoutLeaks) {
  write(500, 3);
  std::ofstream(path_, std::ios::app) << "text number 7,kind1\ntext number 7,kind1\n";
  const StudyData data = read("eval_share: 0.2");
  EXPECT_EQ(data.train.rows.size() + data.eval.rows.size(), 502u);
  EXPECT_NEAR(static_cast<double>(data.eval.rows.size()), 100, 30);
  std::set<std::string> train;
  for (const Question& row : data.train.rows) train.insert(row.text());
  for (const Question& row : data.eval.rows) EXPECT_EQ(train.count(row.text()), 0u);
  EXPECT_EQ(data.sha256, read("eval_share: 0.2").sha256);
  const StudyData fewer = read("rows: {train: 50, eval: 20}");
  EXPECT_EQ(fewer.train.rows.size(), 50u);
  EXPECT_EQ(fewer.eval.rows.size(), 20u);
  EXPECT_NE(fewer.sha256, data.sha256);
}

TEST_F(DataTest, TheSplitIsByLabelAndSaltedByTheSeed) {
  write(500, 3);
  std::ofstream(path_, std::ios::app) << "alone,rare\nsecond,scarce\nthird,scarce\n";
  const StudyData data = read("eval_share: 0.2");
  std::vector<int> train(data.labels().size()), eval(data.labels().size());
  for (const int label : data.train.labels) ++train[static_cast<size_t>(label)];
  for (const int label : data.eval.labels) ++eval[static_cast<size_t>(label)];
  for (size_t label = 0; label < 3; ++label) EXPECT_NEAR(eval[label], 0.2 * (train[label] + eval[label]), 1);
  EXPECT_EQ((std::pair(train[3], eval[3])), (std::pair(1, 0)));  // rare: learnt, and said
  EXPECT_EQ((std::pair(train[4], eval[4])), (std::pair(1, 1)));
  EXPECT_EQ(data.remarks, (std::vector<std::string>{
                              "fewer than 5 training rows have the labels \"rare\" (1), \"scarce\" (1)",
                              "a single row has the label \"rare\"",
                              "no evaluation row has the label \"rare\"; its quality is not known"}));
  EXPECT_NE(read("seed: 2").sha256, read("seed: 3").sha256);
}

TEST_F(DataTest, RowsThatWereDrawnByTheHashOfTheirTextAreSplitAllTheSame) {
  std::ofstream file(path_);
  file << "message,kind\n";
  for (int i = 0, kept = 0; kept < 300; ++i) {
    const std::string text = fmt::format("text number {}", i);
    if (sha256_hex(text)[0] > '2') continue;  // the smallest fifth of all hashes
    file << text << ",kind" << kept++ % 3 << "\n";
  }
  file.close();
  const StudyData data = read("eval_share: 0.2");
  EXPECT_EQ(data.eval.rows.size(), 60u);
  EXPECT_EQ(data.train.rows.size(), 240u);
}

TEST_F(DataTest, WhatIsOddAboutTheRowsIsSaid) {
  write(60, 2);
  std::ofstream(path_, std::ios::app) << "Text NUMBER 3 ,KIND1\ntext number 4,kind1\n,kind1\nempty,\na,b,c\n";
  const StudyData data = read();
  const std::string said = fmt::format("{}", fmt::join(data.remarks, "; "));
  for (const char* part :
       {"1 row has a blank text", "1 row has a blank label", "1 of 63 rows was left out", "row 64 (line 66)",
        "\"KIND1\" (1) are one label, \"kind1\"", "2 rows repeat the text of another, 1 of them but for case",
        "1 text has more than one label (\"text number 4\")"}) {
    EXPECT_NE(said.find(part), std::string::npos) << part << " in " << said;
  }
  EXPECT_EQ(data.labels().size(), 2u);
  EXPECT_EQ(data.train.rows.size() + data.eval.rows.size(), 62u);
}

TEST_F(DataTest, TextsOnBothSidesOfGivenFilesAreSaid) {
  write(60, 2);
  Plan plan =
      parse_plan("data: {train: a, eval: b}\ntext: message\nlabel: kind\nrungs: [{kind: linear}]\n", "p");
  const StudyData data = read_data(plan, [this](const std::string&) { return path_; });
  EXPECT_EQ(data.train.rows.size(), 60u);
  const std::string said = fmt::format("{}", fmt::join(data.remarks, "; "));
  EXPECT_NE(said.find("60 evaluation rows have texts that are also for training"), std::string::npos) << said;
}

TEST_F(DataTest, NoSideOfTwoTextsIsEmpty) {
  std::ofstream(path_) << "message,kind\nyes,a\nno,b\n";
  const StudyData data = read();
  EXPECT_EQ(data.train.rows.size(), 1u);
  EXPECT_EQ(data.eval.rows.size(), 1u);
}

class TableDataTest : public DataTest {
 protected:
  /// 60 rows of four columns, whose last is a class and whose third a price.
  void write_table(const std::string& more = "") const {
    std::ofstream file(path_);
    file << "age,colour,price,kind\n";
    for (int i = 0; i < 60; ++i)
      file << i << "," << (i % 2 == 0 ? "red" : "blue") << "," << 2.5 * i << "," << (i % 3 == 0 ? "a" : "b")
           << "\n";
    file << more;
  }
  StudyData read_table(const std::string& fields, const std::string& more = "") const {
    const Plan plan =
        parse_plan("data: x\ntask: table\nrungs: [{kind: linear}]\nfields: " + fields + "\n" + more, "p");
    return read_data(plan, [this](const std::string&) { return path_; });
  }
};

TEST_F(TableDataTest, RowsOfATableAreSplitByLabelAndEqualRowsStayTogether) {
  write_table("7,blue,17.5,b\n7,BLUE,17.5,b\n");
  const StudyData data = read_table("{label: kind}");
  EXPECT_EQ(data.columns, (std::vector<DataColumn>{{"age", true}, {"colour", false}, {"price", true}}));
  EXPECT_EQ(data.labels(), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(data.train.rows.size() + data.eval.rows.size(), 62u);
  EXPECT_EQ(std::ranges::count(data.eval.labels, 0), 4);  // a fifth of 20
  ASSERT_EQ(data.questions.size(), data.truths.size());
  const auto sevens = [](const LabelledRows& rows) {
    return std::ranges::count_if(
        rows.rows, [](const Question& row) { return row.table_row().cells[0] == TableCell(7.0); });
  };
  const auto learnt = sevens(data.train), asked = sevens(data.eval);
  EXPECT_EQ(learnt + asked, 3);
  EXPECT_TRUE(learnt == 0 || asked == 0);
  for (size_t i = 0; i < data.questions.size(); ++i) {
    const double age = std::get<double>(data.questions[i].table_row().cells[0]);
    EXPECT_EQ(std::get<LabelTruth>(data.truths[i]).label, static_cast<int>(age) % 3 == 0 ? "a" : "b");
  }
  EXPECT_NE(data.sha256, read_table("{label: colour}").sha256);
}

TEST_F(TableDataTest, ColumnsAreLeftOut) {
  write_table();
  const StudyData data = read_table("{label: kind}", "leave_out: [age, colour]");
  EXPECT_EQ(data.columns, (std::vector<DataColumn>{{"price", true}}));
  for (const LabelledRows* rows : {&data.train, &data.eval}) {
    for (const Question& row : rows->rows) EXPECT_EQ(row.table_row().cells.size(), 1u);
  }
  EXPECT_NE(data.sha256, read_table("{label: kind}").sha256);
}

TEST_F(TableDataTest, NumbersAreSplitWithTheirRows) {
  write_table();
  const StudyData data = read_table("{score: price}", "rows: {train: 30}");
  EXPECT_TRUE(data.labels().empty());
  EXPECT_EQ(data.train.numbers.size(), 30u);
  EXPECT_EQ(data.eval.rows.size(), 12u);
  for (size_t i = 0; i < data.questions.size(); ++i) {
    const double age = std::get<double>(data.questions[i].table_row().cells[0]);
    EXPECT_EQ(std::get<ScoreTruth>(data.truths[i]).score, 2.5 * age);
  }
  for (size_t i = 0; i < data.train.rows.size(); ++i)
    EXPECT_EQ(data.train.numbers[i], 2.5 * std::get<double>(data.train.rows[i].table_row().cells[0]));
}

TEST_F(TableDataTest, ACategoryThatNoTrainingRowHasIsMissingAndSaid) {
  write_table("90,green,1,a\n");
  bool seen = false;
  // Some seed has the row among those for evaluation.
  for (int seed = 1; seed < 40 && !seen; ++seed) {
    const StudyData data = read_table("{label: kind}", "seed: " + std::to_string(seed));
    for (const Question& row : data.questions) {
      const std::vector<TableCell>& cells = row.table_row().cells;
      if (cells[0] != TableCell(90.0)) continue;
      seen = true;
      EXPECT_EQ(cells[1], TableCell());
      const std::string said = fmt::format("{}", fmt::join(data.remarks, "; "));
      EXPECT_NE(said.find("no training row has, and is taken as missing (\"green\" in colour)"),
                std::string::npos)
          << said;
    }
  }
  EXPECT_TRUE(seen);
}

TEST_F(TableDataTest, TablesThatCannotBeAskedAreRefused) {
  const auto why = [&](const std::string& fields, const std::string& more = "") -> std::string {
    try {
      read_table(fields, more);
    } catch (const Error& error) {
      return error.what();
    }
    return "read";
  };
  write_table();
  EXPECT_NE(why("{label: sort}").find("sort"), std::string::npos);
  EXPECT_NE(why("{}").find("no column is called label"), std::string::npos);
  EXPECT_NE(why("{label: age}").find("`age` has 60 different values"), std::string::npos);
  EXPECT_NE(why("{score: kind}").find("no number"), std::string::npos);
  EXPECT_NE(why("{label: kind}", "leave_out: [kind]").find("no column 'kind' to leave out"),
            std::string::npos);
  EXPECT_NE(why("{label: kind}", "leave_out: [age, colour, price]").find("no column but the label"),
            std::string::npos);
  std::ofstream(path_) << "a,y\n1,0.5\n2,0.7\n3,0.2\n";
  EXPECT_NE(why("{}").find("`fields: {score: y}`"), std::string::npos);
  std::ofstream(path_) << "a,y\n";
  EXPECT_NE(why("{score: y}"), "read");
}

TEST_F(DataTest, RefusesWhatIsNoClassification) {
  write(40, 1);
  EXPECT_THROW(read(), Error);
  write(40, 40);
  EXPECT_THROW(read(), Error);
  std::ofstream(path_) << "message,kind\n";
  EXPECT_THROW(read(), Error);
}

}  // namespace
}  // namespace wattle
