#include "report/live.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "report/made_up.h"

namespace wattle {
namespace {

Results study_that_runs() {
  Results study = made_up_study(100);
  study.cells.push_back(made_up_cell(study, "linear", "", 80, 0.001));
  study.cells.push_back(made_up_cell(study, "an-encoder-with-a-long-name", "Q8_0", 90, 1));
  study.cells.push_back(made_up_cell(study, "language-model", "Q4_1", 50, 20));
  study.cells.push_back(made_up_cell(study, "late", "", 50, 20));
  study.cells.push_back(made_up_cell(study, "broken", "", 0, 1));
  study.cells[3].samples.clear(), study.cells[3].outputs.clear();
  study.cells[4].samples.clear(), study.cells[4].outputs.clear();
  study.cells[4].error = "the file is cut;\npull it again";
  study.race.emplace();
  study.race->rounds = 5;
  study.race->stopped[study.cells[2].key] = "after round 3: linear is as good to 1.0 % and surely costs less";
  summarise(study);
  return study;
}

TEST(LiveLines, SayWhatEachRungDoes) {
  const auto lines = live_lines(study_that_runs(), "round 6, linear", 120, 24, false);
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_TRUE(lines[0].starts_with("  rung")) << lines[0];
  EXPECT_NE(lines[0].find("mJ/query"), std::string::npos);
  EXPECT_TRUE(lines[1].starts_with("* linear ")) << lines[1];
  EXPECT_NE(lines[1].find("80.0 ±"), std::string::npos);
  EXPECT_NE(lines[1].find("racing, 5 rounds"), std::string::npos);
  // About a joule a query; the interval is the meter's 30 % and more.
  EXPECT_NE(lines[2].find(" 993 (695-1291) "), std::string::npos) << lines[2];
  EXPECT_NE(lines[3].find("stopped after round 3: linear is as good"), std::string::npos);
  EXPECT_NE(lines[4].find("waits"), std::string::npos);
  EXPECT_NE(lines[5].find("failed: the file is cut;?pull it again"), std::string::npos);
  EXPECT_EQ(lines[6], "round 6, linear");
}

TEST(LiveLines, KeepToTheTerminal) {
  const Results study = study_that_runs();
  for (const size_t columns : {20, 34, 60, 80, 200}) {
    for (const std::string& line : live_lines(study, std::string(300, 'x'), columns, 24, false))
      EXPECT_LE(columns_of(line), columns) << line;
  }
  const auto narrow = live_lines(study, "", 44, 24, false);
  EXPECT_NE(narrow[1].find("80.0 ±"), std::string::npos) << "figures stay where names give way";
  const auto low = live_lines(study, "now", 80, 6, false);
  ASSERT_EQ(low.size(), 6u);
  EXPECT_EQ(low[4], "  and 2 more");
  EXPECT_EQ(low[5], "now");
  EXPECT_EQ(live_lines(study, "now", 0, 0, false).size(), 3u) << "heading, count, what is done";
}

TEST(LiveLines, ColoursTakeNoColumns) {
  const Results study = study_that_runs();
  const auto plain = live_lines(study, "now", 80, 24, false),
             coloured = live_lines(study, "now", 80, 24, true);
  EXPECT_EQ(coloured[1], "\033[1;32m" + plain[1] + "\033[0m");
  EXPECT_EQ(coloured[3], "\033[2m" + plain[3] + "\033[0m");
  EXPECT_EQ(coloured[5], "\033[31m" + plain[5] + "\033[0m");
  for (const std::string& line : plain)
    EXPECT_TRUE(std::ranges::none_of(line, [](unsigned char c) { return c < 0x20; })) << line;
}

TEST(LiveLines, CutNeverInsideACharacter) {
  EXPECT_EQ(cut_to_columns("abc", 2), "ab");
  EXPECT_EQ(cut_to_columns("日本語", 5), "日本");
  EXPECT_EQ(columns_of("日本語"), 6u);
  EXPECT_EQ(columns_of("cafe\u0301"), 4u);
  EXPECT_EQ(cut_to_columns("cafe\u0301s", 4), "cafe\u0301");
  EXPECT_EQ(cut_to_columns("a\033[2Jb\u202Ec", 10), "a?[2Jb?c");
  EXPECT_EQ(cut_to_columns("\xFF\xFEz", 10), "??z");
}

}  // namespace
}  // namespace wattle
