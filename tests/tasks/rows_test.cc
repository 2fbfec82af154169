#include "tasks/rows.h"

#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>
#include <zlib.h>

#include <fstream>

namespace wattle {
namespace {

class RowsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("wattle_rows_" + std::to_string(::getpid()));
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  std::vector<std::string> texts(const std::string& name, const std::string& bytes,
                                 RowOptions options = {}) const {
    std::vector<std::string> texts;
    for (const Question& row : read_rows(write(name, bytes), options).rows) texts.push_back(row.text());
    return texts;
  }
  std::string sentence(const std::string& name, const std::string& bytes, RowOptions options = {}) const {
    try {
      read_rows(write(name, bytes), options);
    } catch (const Error& error) {
      EXPECT_EQ(error.exit_status(), 2);
      return error.what();
    }
    return "no error";
  }

  std::filesystem::path folder_;
};

using Texts = std::vector<std::string>;

TEST_F(RowsTest, JsonLinesKeepIds) {
  const Rows rows = read_rows(
      write("a.jsonl",
            "{\"id\": \"x-1\", \"text\": \"one\"}\r\n\n{\"text\": \"two\"}\n{\"id\": 7, \"text\": \"\"}"));
  ASSERT_EQ(rows.rows.size(), 3u);
  EXPECT_EQ(rows.rows[0].id, "\"x-1\"");
  EXPECT_EQ(rows.rows[1].id, "1");
  EXPECT_EQ(rows.rows[2].id, "7");
  EXPECT_EQ(rows.rows[0].text(), "one");
  EXPECT_EQ(rows.rows[2].text(), "");
}

TEST_F(RowsTest, CsvOfRfc4180) {
  const std::string csv =
      "\xEF\xBB\xBFid,text,n\r\n1,plain,a\r\n2,\"with, comma\",b\r\n3,\"a "
      "\"\"quote\"\"\",c\r\n4,\"two\r\nlines\",d\r\n\r\n5,,e\r\n6,\"\",f";
  EXPECT_EQ(texts("a.csv", csv), (Texts{"plain", "with, comma", "a \"quote\"", "two\r\nlines", "", ""}));
  const Rows rows = read_rows(folder_ / "a.csv");
  EXPECT_EQ(rows.rows[3].id, "\"4\"");
  EXPECT_EQ(texts("a.csv", csv, {.field = "n"}).back(), "f");
}

TEST_F(RowsTest, TsvTakesQuotesLiterallyUnlessTheyEncloseAField) {
  EXPECT_EQ(
      texts("a.tsv",
            "text\tlabel\n\"it 's fine\" , he said\t1\n\"\"\"good\"\"\tnow\"\t2\nplain\t3\n\"open\t4\n"),
      (Texts{"\"it 's fine\" , he said", "\"good\"\tnow", "plain", "\"open"}));
}

TEST_F(RowsTest, PlainLinesAndWholeFiles) {
  EXPECT_EQ(texts("a.txt", "one\r\n\n two \n"), (Texts{"one", " two "}));
  EXPECT_EQ(texts("a.txt", "one\n\ntwo\n", {.format = RowFormat::kWhole}), (Texts{"one\n\ntwo\n"}));
}

TEST_F(RowsTest, Gzip) {
  const auto path = folder_ / "a.jsonl.gz";
  const std::string line = "{\"text\": \"packed\"}\n";
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, line.data(), static_cast<unsigned>(line.size()));
  gzclose(file);
  EXPECT_EQ(read_rows(path).rows.at(0).text(), "packed");
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 6);
  EXPECT_THROW(read_rows(path), Error);
}

TEST_F(RowsTest, InvalidUtf8IsReplacedAndCounted) {
  const Rows rows = read_rows(write("a.jsonl", "{\"text\": \"caf\xE9 ok\"}\n{\"text\": \"fine\"}\n"));
  EXPECT_EQ(rows.repaired, 1);
  EXPECT_EQ(rows.rows[0].text(), "caf\xEF\xBF\xBD ok");
}

TEST_F(RowsTest, BadInputIsOneSentenceWithFilePlaceAndCure) {
  struct Case {
    std::string name, bytes, expected;
    RowOptions options = {};
  };
  const std::vector<Case> cases = {
      {"a.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\", \"n\": 1}\n",
       "a.jsonl: row 1 (line 2) has no field 'text'; choose with --field one of: body, n"},
      {"a.jsonl", "{\"text\": 3}\n", "a.jsonl: row 0 (line 1): field 'text' is not a text"},
      {"a.jsonl", "{\"text\": \"a\"\n", "row 0 (line 1) is not a JSON object"},
      {"a.jsonl", "[1]\n", "row 0 (line 1) is not a JSON object"},
      {"a.jsonl", "", "holds no rows"},
      {"a.csv", "id,text\n", "holds no rows"},
      {"a.csv", "id,text\n1,a\n2,b,c\n", "row 1 (line 3) has 3 fields where the header has 2"},
      {"a.csv", "id,text\n1,\"a\n2,b\n", "line 2: the quote that opens a field is not closed"},
      {"a.csv", "id,text\n1,\"a\" b\n", "line 2: the quote that opens a field is not closed"},
      {"a.csv", "id,message\n1,a\n",
       "row 0 (line 2) has no field 'text'; choose with --field one of: id, message"},
      {"a.jsonl", "{\"ids\": []}\n", "row 0 (line 1): `ids` is empty"},
      {"a.jsonl", "{\"ids\": [1, -2]}\n", "row 0 (line 1): `ids` holds -2"},
      {"a.jsonl", "{\"ids\": [1, 2147483648]}\n", "`ids` holds 2147483648"},
      {"a.jsonl", "{\"ids\": [1.5]}\n", "`ids` holds 1.5"},
      {"a.jsonl", "{\"ids\": [1]}\n{\"ids\": \"1 2\"}\n", "row 1 (line 2): `ids` is not an array"},
      {"a.jsonl", "{\"ids\": [1, 2], \"type_ids\": [0]}\n", "`type_ids` has 1 numbers and `ids` 2"},
      {"a.jsonl", "{\"messages\": []}\n", "`messages` is not an array of messages"},
      {"a.jsonl", "{\"messages\": [{\"role\": \"user\"}]}\n", "message 0 has not both"},
      {"a.jsonl", "{\"text\": \"a\", \"text_pair\": 1}\n", "field 'text_pair' is not a text"},
      {"a.dat", "id,message\n", "the name does not say what the file is"},
      {"a.csv", std::string("\xFF\xFEi\0d\0", 6), "is UTF-16"},
  };
  for (const Case& c : cases) {
    EXPECT_NE(sentence(c.name, c.bytes, c.options).find(c.expected), std::string::npos)
        << c.bytes << " -> " << sentence(c.name, c.bytes, c.options);
  }
  EXPECT_THROW(read_rows(folder_ / "missing.jsonl"), Error);
  EXPECT_THROW(read_rows(folder_), Error);
}

TEST_F(RowsTest, RowsHoldTextsPairsConversationsOrIds) {
  const Rows rows = read_rows(write("a.jsonl",
                                    R"({"text": "one", "ids": [9]}
{"text": "one", "text_pair": "two"}
{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]}
{"id": [1], "ids": [3, 4], "type_ids": [0, 1], "decoder_ids": [2]}
)"));
  EXPECT_EQ(rows.rows[0].text(), "one") << "ids stand in place of a text, not beside one";
  const auto& pair = std::get<TextPair>(rows.rows[1].content);
  EXPECT_EQ(pair.first + "|" + pair.second, "one|two");
  ASSERT_EQ(rows.rows[2].conversation()->messages.size(), 2u);
  EXPECT_EQ(rows.rows[2].conversation()->messages[1].role, "user");
  EXPECT_EQ(rows.rows[2].conversation()->messages[1].content, "u");
  EXPECT_EQ(rows.rows[3].id, "[1]");
  EXPECT_EQ(rows.rows[3].ids()->ids, (std::vector<TokenId>{3, 4}));
  EXPECT_EQ(rows.rows[3].ids()->type_ids, (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(rows.rows[3].ids()->decoder_ids, (std::vector<TokenId>{2}));
  for (size_t i = 1; i < 4; ++i) EXPECT_THROW(rows.rows[i].text(), Error);
  EXPECT_EQ(joined(rows.rows).size(), 4u);
  EXPECT_THROW(read_labelled_rows(write("b.jsonl", "{\"ids\": [1], \"label\": \"x\"}\n")), Error);
}

TEST_F(RowsTest, LabelsByNameIndexAndMeta) {
  const auto csv = write("a.csv", "text,kind\na,spam\nb,ham\nc,spam\n");
  LabelledRows data = read_labelled_rows(csv, {.label_field = "kind"});
  EXPECT_EQ(data.label_names, (Texts{"ham", "spam"}));
  EXPECT_EQ(data.labels, (std::vector<int>{1, 0, 1}));
  EXPECT_EQ(data.texts(), (Texts{"a", "b", "c"}));
  EXPECT_THROW(read_labelled_rows(csv, {.label_field = "kind", .label_names = {"ham"}}), Error);
  EXPECT_THROW(read_labelled_rows(csv), Error) << "no field 'label'";

  const auto jsonl = write("b.jsonl", "{\"text\": \"a\", \"label\": 10}\n{\"text\": \"b\", \"label\": 9}\n");
  EXPECT_EQ(read_labelled_rows(jsonl).label_names, (Texts{"9", "10"}));
  write("meta.json", "{\"labels\": [\"no\", \"yes\"]}");
  const auto named =
      write("c.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"label\": \"no\"}\n");
  data = read_labelled_rows(named);
  EXPECT_EQ(data.label_names, (Texts{"no", "yes"}));
  EXPECT_EQ(data.labels, (std::vector<int>{1, 0}));
  EXPECT_THROW(read_labelled_rows(jsonl), Error) << "index 10 is beyond the labels of meta.json";
}

TEST_F(RowsTest, TablesHaveNumbersCategoriesAndMissingValues) {
  const auto path = write("t.csv", "id,age,city,churned\n7,31, Ulm ,yes\n8,?,,no\n9,NaN,N/A,yes\n");
  EXPECT_TRUE(is_table(path, "text", "churned"));
  EXPECT_FALSE(is_table(path, "city", "churned")) << "there is a text";
  EXPECT_FALSE(is_table(path, "text", "label")) << "there is no label";
  const LabelledTable table = read_labelled_table(path, {.label_field = "churned"});
  EXPECT_EQ(table.columns, (Texts{"age", "city"}));
  EXPECT_EQ(table.label_names, (Texts{"no", "yes"}));
  EXPECT_EQ(table.labels, (std::vector<int>{1, 0, 1}));
  const auto cell = [&](size_t row, size_t column) { return table.rows[row].table_row().cells[column]; };
  EXPECT_EQ(cell(0, 0), TableCell(std::string("31")));
  EXPECT_EQ(cell(0, 1), TableCell(std::string("Ulm")));
  for (const size_t row : {1u, 2u}) {
    for (const size_t column : {0u, 1u}) EXPECT_EQ(cell(row, column), TableCell());
  }
  EXPECT_EQ(table.rows[0].id, "\"7\"");
  EXPECT_EQ(read_labelled_table(path, {.label_field = "churned", .leave_out = {"age"}}).columns,
            Texts{"city"});

  const LabelledTable numbers = read_labelled_table(
      write("n.jsonl", "{\"a\": 1.5, \"b\": null, \"y\": -2}\n{\"a\": true, \"b\": \"x\", \"y\": \"3.5\"}"),
      {.label_field = "y", .numbers = true});
  EXPECT_EQ(numbers.numbers, (std::vector<float>{-2, 3.5}));
  EXPECT_EQ(numbers.rows[0].table_row().cells, (std::vector<TableCell>{1.5, std::monostate()}));
  EXPECT_EQ(numbers.rows[1].table_row().cells[0], TableCell(std::string("true")));
}

TEST_F(RowsTest, CellsInAListAreNamedByMeta) {
  const std::string rows =
      "{\"id\": \"a\", \"x\": [1, \"red\"], \"label\": 1}\n{\"x\": [null, \"blue\"], \"label\": 0}\n";
  const RowOptions options{.columns = {"colour", "size"}};
  EXPECT_NE(sentence("l.jsonl", rows).find("field"), std::string::npos) << "no table: texts";
  const Rows known = read_rows(write("l.jsonl", rows), {.columns = {"size", "colour"}});
  EXPECT_EQ(known.rows[0].table_row().cells, (std::vector<TableCell>{1.0, std::string("red")}));
  write("meta.json", R"({"columns": [{"name": "size"}, {"name": "colour"}], "labels": ["no", "yes"]})");
  const Rows named = read_rows(write("l.jsonl", rows), options);
  EXPECT_EQ(named.rows[0].table_row().cells, (std::vector<TableCell>{std::string("red"), 1.0}));
  EXPECT_EQ(read_labelled_table(write("l.jsonl", rows)).columns, (Texts{"size", "colour"}));
  EXPECT_NE(sentence("s.jsonl", "{\"x\": [1]}", options).find("2 cells"), std::string::npos);
  EXPECT_NE(sentence("h.csv", "size,1\n3,red\n", options).find("no column 'colour'"), std::string::npos);
}

TEST_F(RowsTest, ReadsTheEvaluationData) {
  const std::filesystem::path data = WATTLE_SOURCE_DIR "/../shared/data";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "the evaluation data is not beside the checkout";
  const LabelledRows spam = read_labelled_rows(data / "sms_spam/train.jsonl");
  EXPECT_EQ(spam.rows.size(), 4165u);
  EXPECT_EQ(spam.label_names, (Texts{"ham", "spam"}));
  EXPECT_EQ(joined(read_rows(data / "wikitext2/eval.jsonl.gz").rows).at(0).text().size(), 1290590u);
}

}  // namespace
}  // namespace wattle
