#include "report/report.h"
#include "report/roofline.h"

#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "report/format.h"
#include "report/made_up.h"

namespace wattle {
namespace {

Results hostile_study() {
  Results study = made_up_study();
  study.plan.name = "</title><script>alert(1)</script> & \"quotes\" @DATA@";
  study.labels = {"<b>no</b>", "</script><script>alert(2)</script>"};
  study.cells = {made_up_cell(study, "<img src=x onerror=alert(3)>", "F32", 700, 0.01),
                 made_up_cell(study, "b", "Q8_0", 940, 0.1),
                 made_up_cell(study, "failed, \"quoted\"", "Q2_K", 0, 0.1)};
  study.cells[2].samples.clear();
  study.cells[2].outputs.clear();
  study.cells[2].error = "x.gguf: <cut>; pull it again";
  summarise(study);
  return study;
}

TEST(Json, OneObjectACellWithExactlyThePromisedKeys) {
  const auto cells = nlohmann::ordered_json::parse(json(hostile_study()));
  ASSERT_EQ(cells.size(), 3u);
  const std::vector<std::string> wanted{"rung",
                                        "model",
                                        "precision",
                                        "bits_per_weight",
                                        "n",
                                        "quality",
                                        "wh_per_1000",
                                        "latency_ms",
                                        "peak_memory_bytes",
                                        "net_wh_per_1000",
                                        "grams_co2e_per_1000",
                                        "load_wh",
                                        "preparation_wh",
                                        "error",
                                        "metrics",
                                        "asking_wh_per_1000"};
  for (const auto& cell : cells) {
    std::set<std::string> keys;
    for (const auto& [key, value] : cell.items()) keys.insert(key);
    EXPECT_EQ(keys, std::set<std::string>(wanted.begin(), wanted.end()));
  }
  const auto keys_of = [](const nlohmann::ordered_json& object) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : object.items()) keys.push_back(key);
    return keys;
  };
  EXPECT_EQ(keys_of(cells[1]["quality"]),
            (std::vector<std::string>{"metric", "value", "low", "high", "greater_is_better", "range"}));
  EXPECT_EQ(keys_of(cells[1]["wh_per_1000"]),
            (std::vector<std::string>{"value", "low", "high", "grade", "source", "scope"}));
  EXPECT_EQ(keys_of(cells[1]["latency_ms"]), (std::vector<std::string>{"p50", "p95"}));
  EXPECT_EQ(cells[1]["wh_per_1000"]["grade"], "modelled");
  EXPECT_TRUE(cells[2]["quality"].is_null());
  EXPECT_TRUE(cells[2]["wh_per_1000"].is_null());
}

TEST(Csv, QuotesAndHasAsManyFieldsAsItsHeader) {
  const std::string text = csv(hostile_study());
  EXPECT_NE(text.find("\"failed, \"\"quoted\"\"\""), std::string::npos);
  const auto commas_outside_quotes = [](const std::string& line) {
    bool inside = false;
    int count = 0;
    for (const char c : line) {
      inside ^= c == '"';
      count += c == ',' && !inside;
    }
    return count;
  };
  std::set<int> counts;
  for (size_t begin = 0, end = 0; (end = text.find("\r\n", begin)) != std::string::npos; begin = end + 2) {
    counts.insert(commas_outside_quotes(text.substr(begin, end - begin)));
  }
  EXPECT_EQ(counts.size(), 1u);
}

TEST(Table, FitsEightyColumnsAndNamesFailures) {
  const std::string text = table(hostile_study(), false);
  EXPECT_NE(text.find("failed: x.gguf"), std::string::npos);
  EXPECT_EQ(text.find('\033'), std::string::npos);
  size_t lines = 0;
  for (size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const std::string line = text.substr(begin, end - begin);
    if (line.find("failed:") != std::string::npos || line.find("rows,") != std::string::npos) continue;
    size_t columns = 0;
    for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
    EXPECT_LE(columns, 80u) << line;
    ++lines;
  }
  EXPECT_GT(lines, 4u);
}

TEST(Html, IsSelfContainedAndEscapesTheStudy) {
  const std::string page = html(hostile_study());
  EXPECT_EQ(page.rfind("<!DOCTYPE html>", 0), 0u);
  EXPECT_EQ(page.find("<script>alert"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(page.find("<b>no"), std::string::npos);
  EXPECT_NE(page.find("&lt;img src=x onerror=alert(3)&gt;"), std::string::npos);
  EXPECT_NE(page.find("&quot;quotes&quot; @DATA@</title>"), std::string::npos);
  for (const char* outside : {" src=\"", " href=\"", "@import", "url(", "<link"}) {
    EXPECT_EQ(page.substr(0, page.find("<script>\n")).find(outside), std::string::npos) << outside;
  }
  // Three scripts: data, Vega, charts; each opened once and closed once.
  size_t opened = 0, closed = 0;
  for (size_t at = 0; (at = page.find("<script", at)) != std::string::npos; ++at) ++opened;
  for (size_t at = 0; (at = page.find("</script", at)) != std::string::npos; ++at) ++closed;
  EXPECT_EQ(opened, 3u);
  EXPECT_EQ(closed, 3u);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
}

TEST(Html, StatesCostsAndBreaks) {
  Results study = made_up_study();
  study.cells = {made_up_cell(study, "model", "F32", 950, 0.1),
                 made_up_cell(study, "model", "Q8_0", 948, 0.2),
                 made_up_cell(study, "model", "Q2_K", 850, 0.05)};
  summarise(study);
  const std::string page = html(study);
  EXPECT_NE(page.find("model Q8_0 costs 2.0"), std::string::npos);
  EXPECT_NE(page.find("model Q2_K is worse than F32: 100 rows lost, 0 won"), std::string::npos);
  EXPECT_EQ(page.find("model Q8_0 is worse"), std::string::npos);
}

Roofline two_products() {
  Roofline roofline{"processor <b> · 2 threads",
                    {.int8_gops = 900, .bf16_gflops = 450, .fp32_gflops = 225, .read_gbs = 30},
                    {}};
  // 4.5 and 32 bits a weight.
  roofline.points = {{"Q4_0", "q8", 1, 1000, 2048, 2 / 0.5625, 96, 0.9},
                     {"F32", "f32", 512, 1000, 2048, 256, 180, 0.8}};
  return roofline;
}

TEST(Roofline, RoofIsTheLesserOfMemoryAndArithmetic) {
  const Roofline roofline = two_products();
  EXPECT_DOUBLE_EQ(roof(roofline.peaks, roofline.points[0]), 30 * 2 / 0.5625);
  EXPECT_DOUBLE_EQ(roof(roofline.peaks, roofline.points[1]), 225);
  RooflinePoint wide = roofline.points[0];
  wide.operations_per_byte = 100;
  EXPECT_DOUBLE_EQ(roof(roofline.peaks, wide), 900);
  wide.activations = "bf16";
  EXPECT_DOUBLE_EQ(roof(roofline.peaks, wide), 450);
}

TEST(Roofline, PageHoldsShareOfEveryProduct) {
  const std::string page = html(two_products());
  EXPECT_NE(page.find("<td>90 %<small>96 GOP/s</small></td>"), std::string::npos);
  EXPECT_NE(page.find("<td>80 %<small>180 GOP/s</small></td>"), std::string::npos);
  EXPECT_NE(page.find("processor &lt;b&gt;"), std::string::npos);
  EXPECT_NE(page.find(R"({"name":"bf16","gops":450.0})"), std::string::npos);
  for (const char* place : {"@STYLE@", "@VEGA@", "@CHARTS@", "@SCRIPT@", "@DATA@", "@TABLE@"}) {
    EXPECT_EQ(page.substr(0, page.find("<script>\n")).find(place), std::string::npos) << place;
  }
}

TEST(Roofline, BFloat16WithoutInstructionsIsNoRoofOfItsOwn) {
  Roofline roofline = two_products();
  roofline.peaks.bf16_gflops = roofline.peaks.fp32_gflops;
  EXPECT_EQ(html(roofline).find(R"("name":"bf16")"), std::string::npos);
}

TEST(Verify, FindsAFigureThatDoesNotFollow) {
  Results study = hostile_study();
  EXPECT_TRUE(verify_figures(study).empty());
  study.cells[1].wh_per_1000->value *= 1.01;
  const auto differences = verify_figures(study);
  ASSERT_EQ(differences.size(), 1u);
  EXPECT_NE(differences[0].find("wh_per_1000"), std::string::npos);
  study = hostile_study();
  study.cells[1].outputs[0].scores[0][0] = 0;
  EXPECT_FALSE(verify_figures(study).empty());
}

TEST(Format, Numbers) {
  EXPECT_EQ(significant(0.012345, 3), "0.0123");
  EXPECT_EQ(significant(123.4, 3), "123");
  EXPECT_EQ(whole(1'234'567), "1,240,000");
  EXPECT_EQ(whole(17.2), "18");
  EXPECT_EQ(bytes(98'200'000), "98 MB");
}

}  // namespace
}  // namespace wattle
