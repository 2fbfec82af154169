#include "tasks/rows.h"

#include <fmt/ranges.h>
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
      {"a.csv", std::string("i\0d\0,\0t\0e\0x\0t\0", 14), "is UTF-16 or UTF-32 without a byte order mark"},
      {"a.csv", "id,text,text \n1,a,b\n", "line 1: the header names the column 'text' twice"},
      {"a.jsonl", "{\"text\": \"a\", \"text\": \"b\"}\n", "row 0 (line 1): has the field 'text' twice"},
      {"a.jsonl", "{'text': 'a'}\n", "row 0 (line 1) is a Python dictionary"},
      {"a.json", "[{\"text\": \"a\"},\n {\"text\"", "line 1: the value that begins here is not closed"},
      {"a.json", "[{\"text\": \"a\"} {\"text\": \"b\"}]", "no comma follows the element"},
      {"a.json", "{\"text\": {\"0\":\"a\"}, \"label\": {\"0\":\"b\"}}", "is one object of columns"},
      {"a.json", "{\"data\": [{\"text\": \"a\"}], \"rows\": [{\"text\": \"a\"}]}", "several lists of rows"},
      {"a.json", "[[1, 2]]", "row 0 (line 1) is not a JSON object"},
      {"a.conll", "EU B-ORG\nrejects\n", "line 2: has 1 columns where the first line has 2"},
  };
  for (const Case& c : cases) {
    EXPECT_NE(sentence(c.name, c.bytes, c.options).find(c.expected), std::string::npos)
        << c.bytes << " -> " << sentence(c.name, c.bytes, c.options);
  }
  EXPECT_THROW(read_rows(folder_ / "missing.jsonl"), Error);
  EXPECT_THROW(read_rows(folder_), Error);
}

// --- untidy files ---

class UntidyTest : public RowsTest {
 protected:
  /// The texts of a file, and the notes about it as one.
  std::string read(const std::string& name, const std::string& bytes) {
    const Rows rows = read_rows(write(name, bytes));
    std::string all;
    for (const Question& row : rows.rows) all += (all.empty() ? "" : "|") + row.text();
    notes_ = fmt::format("{}", fmt::join(rows.notes, "; "));
    return all;
  }
  std::string notes_;
};

TEST_F(UntidyTest, OtherDelimitersAreSaid) {
  EXPECT_EQ(read("a.csv", "id;text\n1;a, b\n2;\"c; d\"\n"), "a, b|c; d");
  EXPECT_NE(notes_.find("delimited by semicolons"), std::string::npos) << notes_;
  EXPECT_EQ(read("a.csv", "id\ttext\n1\ta, \"b\"\n"), "a, \"b\"");
  EXPECT_NE(notes_.find("by tabs"), std::string::npos) << notes_;
  EXPECT_EQ(read("a.csv", "id|text\n1|a\n"), "a");
  EXPECT_NE(notes_.find("by bars"), std::string::npos) << notes_;
  EXPECT_EQ(read("a.tsv", "id,text\n1,a\n"), "a");
  EXPECT_NE(notes_.find("by commas"), std::string::npos) << notes_;
  EXPECT_EQ(read("a.csv", "sep=;\r\nid;text\r\n1;a\r\n"), "a");
  EXPECT_NE(notes_.find("semicolons"), std::string::npos) << notes_;
  EXPECT_NE(sentence("a.csv", "sep=;\nid;text\n1;a;b\n").find("row 0 (line 3)"), std::string::npos);
  // Semicolons in texts delimit nothing.
  EXPECT_EQ(read("a.csv", "id,text\n1,a; b; c\n2,d; e\n"), "a; b; c|d; e");
  EXPECT_EQ(notes_, "");
  EXPECT_EQ(read("a.csv", "text\na; b\n"), "a; b");
  EXPECT_EQ(notes_, "");
}

TEST_F(UntidyTest, LinesThatEndInCarriageReturns) {
  EXPECT_EQ(read("a.csv", "id,text\r1,a\r2,b\r"), "a|b");
  EXPECT_NE(notes_.find("carriage returns"), std::string::npos) << notes_;
  EXPECT_EQ(read("a.jsonl", "{\"text\": \"a\"}\r{\"text\": \"b\"}"), "a|b");
  EXPECT_EQ(read("a.csv", "id,text\n1,\"a\rb\"\n"), "a\rb");
  EXPECT_EQ(notes_, "");
}

TEST_F(UntidyTest, WideTextWithAByteOrderMark) {
  const std::u16string text = u"id,text\n1,caf\u00E9 \U0001F600\n2,\xD83D!\n";
  for (const bool big : {false, true}) {
    std::string bytes = big ? "\xFE\xFF" : "\xFF\xFE";
    for (const char16_t unit : text) {
      const char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit & 0xFF);
      bytes += big ? std::string{high, low} : std::string{low, high};
    }
    EXPECT_EQ(read("a.csv", bytes), "caf\xC3\xA9 \xF0\x9F\x98\x80|\xEF\xBF\xBD!");
    EXPECT_NE(notes_.find("is UTF-16"), std::string::npos) << notes_;
  }
  std::string bytes("\xFF\xFE\0\0", 4);
  for (const char c : std::string("text\nab\n")) bytes += std::string{c, '\0', '\0', '\0'};
  EXPECT_EQ(read("a.csv", bytes), "ab");
  EXPECT_NE(notes_.find("is UTF-32"), std::string::npos) << notes_;
}

TEST_F(UntidyTest, WhatIsNoTextIsNamedWithItsCure) {
  struct Case {
    std::string bytes, what, cure;
  };
  const std::string zip("PK\x03\x04\x14\0\0\0", 8);
  const std::vector<Case> cases = {
      {"PAR1\x15\x04PAR1", "is Parquet", "pandas.read_parquet"},
      {std::string("ARROW1\0\0", 8) + "ARROW1", "is Arrow", "pandas.read_feather"},
      {"%PDF-1.7", "is PDF", "pdftotext"},
      {"\xD0\xCF\x11\xE0\xA1\xB1", "xls", "CSV"},
      {zip + "[Content_Types].xml...xl/workbook.xml", "a spreadsheet (xlsx)", "CSV"},
      {zip + "mimetypeapplication/vnd.oasis.opendocument.spreadsheet", "a spreadsheet (ods)", "CSV"},
      {zip + "rows.csv", "a ZIP archive", "unzip"},
      {"\x28\xB5\x2F\xFD..", "packed by zstd", "unzstd"},
      {std::string("SQLite format 3\0", 16), "an SQLite database", "sqlite3"},
      {"\x89PNG\r\n", "a picture (PNG)", "rows"}};
  for (const Case& c : cases) {
    const std::string said = sentence("a.csv", c.bytes);
    EXPECT_NE(said.find(c.what), std::string::npos) << said;
    EXPECT_NE(said.find(c.cure), std::string::npos) << said;
  }
  EXPECT_EQ(read("a.csv", "PAR1,text\nx,a\n"), "a") << "a header may begin as Parquet does";
}

TEST_F(UntidyTest, JsonAsPythonWritesItIsMended) {
  EXPECT_EQ(read("a.jsonl",
                 "{\"text\": \"a \\ud83d b\", \"n\": NaN}\n"
                 "{\"text\": \"\\ud83d\\ude00 \\\\ud83d NaN\", \"n\": -Infinity}\n"
                 "{\"text\": \"c\td\"}\n{\"text\": \"e\"}\n"),
            "a \xEF\xBF\xBD b|\xF0\x9F\x98\x80 \\ud83d NaN|c\td|e");
  EXPECT_NE(notes_.find("3 rows held half a surrogate pair"), std::string::npos) << notes_;
  EXPECT_NE(notes_.find("row 0 (line 1)"), std::string::npos) << notes_;
}

TEST_F(UntidyTest, OneJsonValueForAllRows) {
  EXPECT_EQ(read("a.json", "[\n {\"text\": \"a]\"},\n {\"text\": \"b\"}\n]\n"), "a]|b");
  EXPECT_NE(notes_.find("is one JSON array"), std::string::npos) << notes_;
  EXPECT_EQ(read("a.jsonl", "{\"version\": 1, \"data\": [{\"text\": \"a\"}, {\"text\": \"b\"}]}"), "a|b");
  EXPECT_NE(notes_.find("the list \"data\""), std::string::npos) << notes_;
  EXPECT_EQ(read("a.json", "{\n \"rows\": [\n  {\"text\": \"a\"}\n ]\n}"), "a");
  EXPECT_EQ(read("a.json", "{\n \"text\": \"a\"\n}\n{\n \"text\": \"b\"\n}\n"), "a|b");
  EXPECT_NE(notes_.find("go over several lines"), std::string::npos) << notes_;
  const std::string said = sentence("a.json", "[\n {\"text\": \"a\"},\n {\"body\": \"b\"}]");
  EXPECT_NE(said.find("row 1 (line 3) has no field 'text'"), std::string::npos) << said;
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
  EXPECT_NE(sentence("s.jsonl", "{\"x\": [1]}", options).find("2 cells"), std::string::npos);
  EXPECT_NE(sentence("h.csv", "size,1\n3,red\n", options).find("no column 'colour'"), std::string::npos);
}

TEST_F(RowsTest, ReadsTheEvaluationData) {
  const std::filesystem::path data = WATTLE_SOURCE_DIR "/../shared/data";
  if (!std::filesystem::exists(data)) GTEST_SKIP() << "the evaluation data is not beside the checkout";
  EXPECT_EQ(read_rows(data / "sms_spam/train.jsonl").rows.size(), 4165u);
  EXPECT_EQ(joined(read_rows(data / "wikitext2/eval.jsonl.gz").rows).at(0).text().size(), 1290590u);
}

}  // namespace
}  // namespace wattle
