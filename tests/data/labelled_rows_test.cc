#include "data/labelled_rows.h"

#include <fmt/ranges.h>

#include "data/files.h"
#include "data/folded.h"
#include "data/label_names.h"
#include "files_of_test.h"
#include "text/unicode.h"

namespace wattle {
namespace {

using Texts = std::vector<std::string>;

TEST(Folded, IsOneForTextsThatDifferInCaseSpaceAndWidth) {
  for (const char* text : {"Pos", " pos ", "POS", "\xEF\xBC\xB0\xEF\xBD\x8F\xEF\xBD\x93" /* full width */,
                           "\xC2\xA0pos\xE3\x80\x80" /* no-break and ideographic space */,
                           "po\xE2\x80\x8Bs" /* zero-width space */}) {
    EXPECT_EQ(folded(text), "pos") << text;
  }
  EXPECT_EQ(folded("Stra\xC3\x9F"
                   "e  \n EINS"),
            "strasse eins");
  EXPECT_EQ(folded("\xCE\xA3\xCE\xAF\xCF\x83\xCF\x85\xCF\x86\xCE\xBF\xCF\x82"),
            folded("\xCF\x83\xCE\xAF\xCF\x83\xCF\x85\xCF\x86\xCE\xBF\xCF\x83"))
      << "both lower-case sigmas";
  EXPECT_EQ(folded("caf\xC3\xA9"), folded("cafe\xCC\x81"));
  EXPECT_NE(folded("po s"), folded("pos"));
  EXPECT_EQ(trimmed(" \t a b\xE3\x80\x80"), "a b");
  EXPECT_EQ(trimmed(" \xC2\xA0"), "");
}

TEST(LabelNames, NearDuplicatesAreOneAndSaid) {
  const LabelNames names({"pos", "pos", "pos ", "Pos", "neg", "NEG", "NEG", "other"}, {});
  EXPECT_EQ(names.names(), (Texts{"NEG", "other", "pos"}));
  EXPECT_EQ(names.find("POS"), 2);
  EXPECT_EQ(names.find(" neg"), 0);
  EXPECT_EQ(names.find("none"), std::nullopt);
  ASSERT_EQ(names.remarks().size(), 3u) << fmt::format("{}", names.remarks());
  EXPECT_EQ(names.remarks()[0], "\"NEG\" (2), \"neg\" (1) are one label, \"NEG\"");
  EXPECT_EQ(names.remarks()[1], "\"pos\" (2), \"Pos\" (1), \"pos \" (1) are one label, \"pos\"");
  EXPECT_EQ(names.remarks()[2], "1 label has white space around it, which is left out");
}

TEST(LabelNames, NumbersAreOneHoweverTheyAreWritten) {
  const LabelNames names({"10", "9.0", "9", "10.00", "9.5", "1.2.0"}, {});
  EXPECT_EQ(names.find("9"), names.find("9.0"));
  EXPECT_EQ(names.find("10"), names.find("10.00"));
  EXPECT_NE(names.find("9"), names.find("9.5"));
  EXPECT_EQ(names.names().size(), 4u);
  EXPECT_EQ(LabelNames({"10", "9", "-1"}, {}).names().size(), 3u);
  EXPECT_EQ(LabelNames({"10", "9"}, {}).names(), (Texts{"9", "10"}));
}

TEST(LabelNames, GivenOnesStayApart) {
  const LabelNames names({"us", "US", "1", "Yes "}, {"us", "US", "yes"});
  EXPECT_EQ(names.names(), (Texts{"us", "US", "yes"}));
  EXPECT_EQ(names.find("us"), 0);
  EXPECT_EQ(names.find("US"), 1);
  EXPECT_EQ(names.find("Us"), std::nullopt) << "either may be meant";
  EXPECT_EQ(names.find("1"), 1) << "an index";
  EXPECT_EQ(names.find("YES"), 2);
  EXPECT_EQ(LabelNames({"2"}, {"2", "1"}).find("1"), 1) << "names win over indices";
}

class LabelledRowsTest : public FilesTest {};

TEST_F(LabelledRowsTest, LabelsByNameIndexAndMeta) {
  const auto csv = write("a.csv", "text,kind\na,spam\nb,ham\nc,spam\n");
  LabelledRows data = read_labelled_rows(csv, {.label_field = "kind"});
  EXPECT_EQ(data.label_names, (Texts{"ham", "spam"}));
  EXPECT_EQ(data.labels, (std::vector<int>{1, 0, 1}));
  EXPECT_EQ(data.texts(), (Texts{"a", "b", "c"}));
  EXPECT_EQ(data.remarks, Texts());
  EXPECT_THROW(read_labelled_rows(csv, {.label_field = "kind", .label_names = {"ham"}}), Error);
  EXPECT_THROW(read_labelled_rows(csv), Error) << "no field 'label'";

  const auto jsonl =
      write("b.jsonl", "{\"text\": \"a\", \"label\": 10}\n{\"text\": \"b\", \"label\": 9.0}\n");
  EXPECT_EQ(read_labelled_rows(jsonl).label_names, (Texts{"9", "10"}));
  write("meta.json", "{\"labels\": [\"no\", \"yes\"]}");
  const auto named =
      write("c.jsonl", "{\"text\": \"a\", \"label\": 1}\n{\"text\": \"b\", \"label\": \"no\"}\n");
  data = read_labelled_rows(named);
  EXPECT_EQ(data.label_names, (Texts{"no", "yes"}));
  EXPECT_EQ(data.labels, (std::vector<int>{1, 0}));
  EXPECT_THROW(read_labelled_rows(jsonl), Error) << "index 10 is beyond the labels of meta.json";
}

TEST_F(LabelledRowsTest, BlanksAreLeftOutAndCounted) {
  const LabelledRows data = read_labelled_rows(write("a.jsonl", R"({"text": "a", "label": "x"}
{"text": "b", "label": null}
{"text": "c", "label": "  "}
{"text": " \t", "label": "x"}
{"text": null, "label": "y"}
{"text": "d", "label": NaN}
{"text": "e", "label": "y"}
)"));
  EXPECT_EQ(data.texts(), (Texts{"a", "e"}));
  EXPECT_EQ(data.label_names, (Texts{"x", "y"}));
  const std::string said = fmt::format("{}", fmt::join(data.remarks, "; "));
  EXPECT_NE(said.find("2 rows have a blank text and were left out (the first:"), std::string::npos) << said;
  EXPECT_NE(said.find("3 rows have a blank label and were left out"), std::string::npos) << said;
  EXPECT_NE(said.find("row 1 (line 2)"), std::string::npos) << said;
  EXPECT_NE(said.find("NaN"), std::string::npos) << said;
  const auto none = write("b.csv", "text,label\na,\nb,\n");
  EXPECT_NE(sentence_of([&] { read_labelled_rows(none); }).find("no row has both a text and a label"),
            std::string::npos);
}

TEST_F(LabelledRowsTest, RowsThatCannotBeReadAreLeftOutWithTheirLines) {
  std::string rows;
  for (int i = 0; i < 6; ++i) rows += fmt::format("{{\"text\": \"t{}\", \"label\": {}}}\n", i, i % 2);
  const LabelledRows data = read_labelled_rows(write(
      "a.jsonl",
      rows + "{\"text\": \"cut\n{\"body\": \"b\", \"label\": 1}\n[1]\n{\"text\": \"u\", \"label\": [0, 1]}\n"
             "{\"text\": 3, \"label\": 1}\n"));
  EXPECT_EQ(data.rows.size(), 6u);
  ASSERT_EQ(data.remarks.size(), 1u);
  for (const char* part : {"5 of 11 rows were left out", "row 6 (line 7) is not a JSON object",
                           "row 7 (line 8) has no field 'text'", "row 8 (line 9) is not", " | ..."}) {
    EXPECT_NE(data.remarks[0].find(part), std::string::npos) << data.remarks[0];
  }
  const auto csv = write("a.csv", "text,label\na,x\nb,c,y\n\"open,x\nd,y\ne,x\n");
  const LabelledRows table = read_labelled_rows(csv);
  EXPECT_EQ(table.texts(), (Texts{"a", "d", "e"}));
  EXPECT_NE(table.remarks.at(0).find("2 of 5 rows were left out"), std::string::npos) << table.remarks[0];
  EXPECT_NE(table.remarks.at(0).find("line 4: the quote that opens"), std::string::npos) << table.remarks[0];

  const auto wrong = write("b.csv", "message,label\na,x\nb,y\n");
  const std::string said = sentence_of([&] { read_labelled_rows(wrong, {.text_flag = "`text`"}); });
  EXPECT_NE(said.find("2 of 2 rows cannot be read"), std::string::npos) << said;
  EXPECT_NE(said.find("has no field 'text'; choose with `text` one of: message, label"), std::string::npos)
      << said;
}

TEST_F(LabelledRowsTest, TwoFilesShareTheirNames) {
  const auto train = write("train.csv", "text,label\na,Pos\nb,pos\nc,pos\n");
  const auto eval = write("eval.csv", "text,label\nd,neg\ne,POS\n");
  const auto [first, second] = read_labelled_rows(train, eval);
  EXPECT_EQ(first.label_names, (Texts{"neg", "pos"}));
  EXPECT_EQ(second.label_names, first.label_names);
  EXPECT_EQ(first.labels, (std::vector<int>{1, 1, 1}));
  EXPECT_EQ(second.labels, (std::vector<int>{0, 1}));
  EXPECT_EQ(second.remarks, (Texts{"\"pos\" (2), \"POS\" (1), \"Pos\" (1) are one label, \"pos\""}));
}

TEST_F(LabelledRowsTest, SemicolonsOfASpreadsheetAreSaid) {
  const LabelledRows data = read_labelled_rows(write("a.csv", "text;label\r\nja, gut;pos\r\nnein;neg\r\n"));
  EXPECT_EQ(data.texts(), (Texts{"ja, gut", "nein"}));
  EXPECT_NE(data.remarks.at(0).find("delimited by semicolons"), std::string::npos);
}

// --- folders ---

class DataFilesTest : public FilesTest {};

TEST_F(DataFilesTest, TrainAndEvalOfAFolder) {
  const auto eval = write("set/eval.csv", "text,label\na,b\n");
  EXPECT_EQ(find_data_files(folder_ / "set").eval, eval);
  EXPECT_TRUE(find_data_files(folder_ / "set").train.empty());
  const auto train = write("set/train.jsonl", "{}\n");
  EXPECT_EQ(find_data_files(folder_ / "set").train, train);
  EXPECT_EQ(find_data_files(eval).eval, eval);
  const auto test = write("other/test.tsv", "text\tlabel\n");
  EXPECT_EQ(find_data_files(folder_ / "other").eval, test);
  write("third/reviews.csv", "text,label\n");
  const std::string said = sentence_of([&] { find_data_files(folder_ / "third"); });
  EXPECT_NE(said.find("name the file of rows itself (reviews.csv)"), std::string::npos) << said;
}

TEST_F(DataFilesTest, AFolderOfPicturesIsToldApart) {
  for (const char* name : {"p/cat/1.png", "p/cat/2.JPG", "p/dog/1.jpeg", "p/notes.txt"}) write(name, "x");
  const std::string said = sentence_of([&] { find_data_files(folder_ / "p"); });
  EXPECT_NE(said.find("is a folder of pictures (3 pictures in 2 classes: cat (2), dog (1))"),
            std::string::npos)
      << said;
  EXPECT_NE(said.find("tasks of pictures are not there yet"), std::string::npos) << said;
  write("flat/1.png", "x");
  EXPECT_NE(sentence_of([&] { find_data_files(folder_ / "flat"); }).find("(1 picture)"), std::string::npos);
}

}  // namespace
}  // namespace wattle
