#include "data/labelled_table.h"

#include "files_of_test.h"

namespace wattle {
namespace {

class LabelledTableTest : public FilesTest {};

using Cells = std::vector<TableCell>;

TEST_F(LabelledTableTest, HasNumbersCategoriesAndMissingValues) {
  const auto path = write("t.csv", "id,age,city,churned\n7,31, Ulm ,yes\n8,?,,no\n9,NaN,N/A,yes\n");
  EXPECT_TRUE(is_table(path, "text", "churned"));
  EXPECT_FALSE(is_table(path, "city", "churned")) << "there is a text";
  EXPECT_FALSE(is_table(path, "text", "label")) << "there is no label";
  const LabelledTable table = read_labelled_table(path, {.label_field = "churned"});
  EXPECT_EQ(table.column_names(), (std::vector<std::string>{"age", "city"}));
  EXPECT_EQ(table.label_names, (std::vector<std::string>{"no", "yes"}));
  EXPECT_EQ(table.labels, (std::vector<int>{1, 0, 1}));
  EXPECT_EQ(table.rows[0].table_row().cells, (Cells{31.0, "Ulm"}));
  for (const size_t row : {1u, 2u}) EXPECT_EQ(table.rows[row].table_row().cells, Cells(2));
  EXPECT_EQ(table.rows[0].id, "\"7\"");
}

TEST_F(LabelledTableTest, LeavesColumnsOut) {
  const auto path = write("t.csv", "age,city,churned\n31,Ulm,yes\n8,Bonn,no\n");
  const LabelledTable table = read_labelled_table(path, {.label_field = "churned", .leave_out = {"age"}});
  EXPECT_EQ(table.column_names(), std::vector<std::string>{"city"});
  EXPECT_EQ(table.rows[1].table_row().cells, Cells{"Bonn"});
  EXPECT_NE(sentence_of([&] {
              read_labelled_table(path, {.label_field = "churned", .leave_out = {"size"}});
            }).find("no column 'size'"),
            std::string::npos);
}

TEST_F(LabelledTableTest, NumbersAreForetold) {
  const LabelledTable table = read_labelled_table(
      write("n.jsonl", "{\"a\": 1.5, \"b\": null, \"y\": -2}\n{\"a\": 2, \"b\": \"x\", \"y\": \"3.5\"}"),
      {.label_field = "y", .numbers = true});
  EXPECT_EQ(table.numbers, (std::vector<double>{-2, 3.5}));
  EXPECT_EQ(table.rows[0].table_row().cells, (Cells{1.5, std::monostate()}));
  EXPECT_TRUE(table.labels.empty());
}

}  // namespace
}  // namespace wattle
