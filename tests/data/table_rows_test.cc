#include "data/table_rows.h"

#include <fmt/ranges.h>

#include "files_of_test.h"

namespace wattle {
namespace {

using Texts = std::vector<std::string>;
using Values = std::vector<TableValue>;

class TableRowsTest : public FilesTest {};

std::string all_remarks(const TableRows& table) {
  return fmt::format("{}", fmt::join(table.remarks, "; "));
}

#define EXPECT_SAYS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

TEST_F(TableRowsTest, NumbersCategoriesAndWhatIsMissing) {
  const TableRows table = read_table_rows(write("a.csv",
                                                "id,age,work,code,label\n"
                                                "a,39,State-gov,1,yes\nb,?, Private ,2b,no\nc,1e2,NA,3,Yes\n"
                                                "d,5,Private,4,\ne,7,Private\n"));
  EXPECT_EQ(table.columns, (std::vector<DataColumn>{{"age", true}, {"work", false}, {"code", false}}));
  ASSERT_EQ(table.rows.size(), 3u);
  EXPECT_EQ(table.rows[0], (Values{39.0, "State-gov", "1"}));
  EXPECT_EQ(table.rows[1], (Values{std::monostate(), "Private", "2b"}));
  EXPECT_EQ(table.rows[2], (Values{100.0, std::monostate(), "3"}));
  EXPECT_EQ(table.ids, (Texts{"\"a\"", "\"b\"", "\"c\""}));
  EXPECT_EQ(table.labels.size(), 2u);
  EXPECT_EQ(std::get<LabelTruth>(table.truths[0]).label, std::get<LabelTruth>(table.truths[2]).label);
  const std::string said = all_remarks(table);
  EXPECT_SAYS(said, "id names rows and is left out of the columns");
  EXPECT_SAYS(said, "2 of 5 rows were left out");
  EXPECT_SAYS(said, "row 3 (line 5): its 'label' is missing");
  EXPECT_SAYS(said, "2 values are missing");
}

TEST_F(TableRowsTest, WhatIsToldIsAClassOrANumber) {
  std::string rows = "x1,target\n";
  for (int i = 0; i < 25; ++i) rows += fmt::format("{},{}\n", i, i % 10);
  const auto classes = write("a.csv", rows);
  EXPECT_EQ(read_table_rows(classes).labels.size(), 10u);
  EXPECT_EQ(std::get<ScoreTruth>(read_table_rows(classes, {{"score", "target"}}).truths[3]).score, 3);
  rows = "x1,target\n";
  for (int i = 0; i < 25; ++i) rows += fmt::format("{},{}\n", i, i);
  const auto numbers = write("b.csv", rows);
  EXPECT_EQ(read_table_rows(numbers).labels, Texts());
  EXPECT_SAYS(all_remarks(read_table_rows(numbers)), "'target' is told as a number");
  EXPECT_EQ(read_table_rows(numbers, {{"label", "target"}}).labels.size(), 25u);
  EXPECT_EQ(read_table_rows(write("c.csv", "x1,y\n1,0.5\n2,1\n")).labels, Texts());
  EXPECT_SAYS(sentence_of([&] { read_table_rows(write("d.csv", "a,b\n1,2\n")); }), "one of: a, b");
  EXPECT_SAYS(sentence_of([&] {
                read_table_rows(numbers, {{"label", "x1"}, {"score", "target"}});
              }),
              "name one");
  EXPECT_SAYS(sentence_of([&] { read_table_rows(numbers, {{"text", "x1"}}); }), "has no part \"text\"");
}

TEST_F(TableRowsTest, SpreadsheetsWithDecimalCommas) {
  const TableRows table = read_table_rows(write("a.csv", "menge;preis;label\n1,5;x, y;a\n2;z;b\n"));
  EXPECT_EQ(table.columns, (std::vector<DataColumn>{{"menge", true}, {"preis", false}}));
  EXPECT_EQ(table.rows[0], (Values{1.5, "x, y"}));
  EXPECT_EQ(std::get<ScoreTruth>(read_table_rows(write("b.csv", "a;y\n1;1,5\n2;2,5\n")).truths[0]).score,
            1.5);
}

TEST_F(TableRowsTest, AnotherFileOfTheSetHasTheSameColumns) {
  const TableRows train = read_table_rows(write("train.csv", "a,b,label\n1,x,p\n2,y,q\n"));
  const TableRows eval = read_table_rows(write("eval.csv", "b,c,a,label\n7,0,3,p\nx,0,oops,q\n8,0,1,q\n"), {},
                                         train.columns, train.labels);
  EXPECT_EQ(eval.columns, train.columns);
  ASSERT_EQ(eval.rows.size(), 2u);
  EXPECT_EQ(eval.rows[0], (Values{3.0, "7"}));
  EXPECT_SAYS(all_remarks(eval), "'a' is \"oops\", and the column holds numbers");
  EXPECT_SAYS(sentence_of([&] { read_table_rows(write("other.csv", "a,label\n1,p\n"), {}, train.columns); }),
              "lacks the column 'b'");
}

TEST_F(TableRowsTest, ListsOfValues) {
  const auto path =
      write("a.jsonl", "{\"x\": [1, \"a\"], \"label\": 0}\n{\"x\": [2.5, null], \"label\": 1}\n");
  const TableRows plain = read_table_rows(path);
  EXPECT_EQ(plain.columns, (std::vector<DataColumn>{{"x0", true}, {"x1", false}}));
  EXPECT_EQ(plain.rows[1], (Values{2.5, std::monostate()}));
  write(
      "meta.json",
      R"({"labels": ["no", "yes"], "columns": [{"name": "n", "type": "category"}, {"name": "c", "type": "category"}]})");
  const TableRows named = read_table_rows(path);
  EXPECT_EQ(named.columns, (std::vector<DataColumn>{{"n", false}, {"c", false}}));
  EXPECT_EQ(named.rows[1][0], TableValue("2.5"));
  EXPECT_EQ(std::get<LabelTruth>(named.truths[1]).label, "yes");
  write("meta.json", R"({"columns": [{"name": "n", "type": "number"}]})");
  EXPECT_SAYS(sentence_of([&] { read_table_rows(path); }), "names other columns");
}

TEST(SharedTables, AreReadByOneCall) {
  const auto data = evaluation_data();
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "the evaluation data is not beside the checkout";
  const TableRows adult = read_table_rows(data / "adult");
  EXPECT_EQ(adult.rows.size(), 1000u);
  EXPECT_EQ(adult.columns.size(), 14u);
  EXPECT_EQ(adult.columns[0], (DataColumn{"age", true}));
  EXPECT_EQ(adult.columns[1], (DataColumn{"workclass", false}));
  EXPECT_EQ(adult.labels, (Texts{"<=50K", ">50K"}));
  EXPECT_EQ(adult.rows[0][0], TableValue(27.0));
  EXPECT_EQ(read_table_rows(data / "adult/train.jsonl.gz", {}, adult.columns, adult.labels).rows.size(),
            8000u);
  const TableRows wine = read_table_rows(data / "wine_quality");
  EXPECT_EQ(wine.columns.back().is_number, false);
  EXPECT_EQ(wine.rows.size(), 1000u);
  EXPECT_EQ(read_table_rows(data / "breast_cancer").columns.size(), 30u);
  EXPECT_EQ(read_table_rows(data / "digits").labels.size(), 10u);
}

}  // namespace
}  // namespace wattle
