#include "report/paper.h"

#include <cmath>
#include <map>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "report/report.h"

namespace wattle {
namespace {

/// A study of text classification with two rungs of the paper and one of our own.
Results paper_study(const std::string& data = "recipe:sst2@strict") {
  Results study;
  study.plan = parse_plan(
      "name: paper\ndata: '" + data + "'\npaper: text-classification\nrungs: [{kind: majority}]\n", "p");
  const auto add = [&](const std::string& rung, const std::string& precision, double wh) {
    CellResult cell;
    cell.rung = rung, cell.precision = precision, cell.source = "model:test", cell.scope = "vcpu";
    cell.wh_per_1000 = Interval{wh, 0.9 * wh, 1.1 * wh};
    study.cells.push_back(cell);
  };
  add("lvwerra/distilbert-imdb", "F32", 0.01);
  add("lvwerra/distilbert-imdb", "Q8_0", 0.004);
  add("siebert/sentiment-roberta-large-english", "F32", 0.2);
  add("ours", "F32", 0.3);
  return study;
}

const Replayed& model_of(const std::vector<Replayed>& models, const std::string& name) {
  for (const Replayed& model : models) {
    if (model.paper.model == name) return model;
  }
  fail("no model {}", name);
}

// The paper's table 2 (kWh per 1,000 queries, task-specific models) and figures of its table 3.
TEST(Paper, MeansAreThePublishedOnes) {
  const std::map<std::string, double> kPublished{
      {"text-classification", 2.29},  {"question-answering", 3.28}, {"masked-words", 3.38},
      {"token-classification", 3.58}, {"text-generation", 46.90},   {"summarisation", 49.19}};
  for (const std::string& task : paper_tasks()) {
    double sum = 0;
    int n = 0;
    for (const PaperModel& model : paper_models(task)) {
      EXPECT_EQ(model.wh.size(), 3u) << model.model;
      if (!model.zero_shot) sum += model.mean_wh(), ++n;
    }
    EXPECT_EQ(n, 8) << task;
    EXPECT_NEAR(sum / n, kPublished.at(task), 0.005) << task;
  }
  for (const char* task : {"text-classification", "question-answering", "summarisation"})
    EXPECT_EQ(paper_models(task).size(), 16u) << task;
  EXPECT_THROW(paper_models("cooking"), Error);
}

TEST(Paper, StandsBesideCellsOfTheSameName) {
  const Results study = paper_study();
  const std::vector<Replayed> models = replay(study);
  ASSERT_EQ(models.size(), 16u);
  const Replayed& distilbert = model_of(models, "lvwerra/distilbert-imdb");
  ASSERT_EQ(distilbert.cells.size(), 2u);
  EXPECT_EQ(distilbert.cells[1]->precision, "Q8_0");
  EXPECT_NEAR(distilbert.paper_wh, 1.40, 0.005);  // on SST-2
  EXPECT_NEAR(distilbert.paper_quality, 0.878, 0.0005);
  EXPECT_TRUE(model_of(models, "bigscience/bloomz-560m").cells.empty());
  for (size_t i = 1; i < models.size(); ++i)
    EXPECT_LE(models[i - 1].paper.mean_wh(), models[i].paper.mean_wh());
}

TEST(Paper, TakesTheMeanForDataThatItHasNot) {
  EXPECT_EQ(paper_data(paper_study().plan), "sst2");
  EXPECT_EQ(paper_data(paper_study("mine.csv").plan), std::nullopt);
  EXPECT_NEAR(model_of(replay(paper_study("mine.csv")), "lvwerra/distilbert-imdb").paper_wh,
              (1.40 + 1.36 + 1.35) / 3, 0.01);
  Plan generation = paper_study("recipe:wikitext2").plan;
  generation.paper = "text-generation";
  EXPECT_EQ(paper_data(generation), "wikitext");
}

TEST(Paper, OrderNeedsFourModels) {
  Results study = paper_study();
  EXPECT_EQ(order_agreement(replay(study), "F32"), std::nullopt);
  const auto add = [&](const std::string& rung, double wh) {
    study.cells.push_back(study.cells.front());
    study.cells.back().rung = rung, study.cells.back().wh_per_1000 = Interval{wh, wh, wh};
  };
  add("nlptown/bert-base-multilingual-uncased-sentiment", 0.05);
  add("bigscience/bloomz-560m", 0.5);
  EXPECT_NEAR(order_agreement(replay(study), "F32").value(), 1, 1e-12);
  study.cells.back().wh_per_1000 = Interval{0.001, 0.001, 0.001};
  // Ranks 1 2 3 4 against 2 3 4 1: 1 - 6 (1 + 1 + 1 + 9) / (4 x 15).
  EXPECT_NEAR(order_agreement(replay(study), "F32").value(), 1 - 72.0 / 60, 1e-12);
}

TEST(Paper, TableAndSection) {
  const Results study = paper_study();
  const std::string table = paper_table(study);
  EXPECT_NE(table.find("lvwerra/distilbert-imdb"), std::string::npos);
  EXPECT_NE(table.find(" 1.40    0.0100   0.00400"), std::string::npos) << table;
  EXPECT_NE(table.find("eight A100 boards"), std::string::npos);
  EXPECT_NE(table.find("model:test (modelled, vcpu)"), std::string::npos);
  const std::string section = paper_section(study);
  EXPECT_NE(section.find("bigscience/bloomz-7b1 (zero-shot)"), std::string::npos);
  EXPECT_NE(section.find("MIT licence"), std::string::npos);
  Results other = study;
  other.plan.paper.clear();
  EXPECT_EQ(paper_section(other), "");
  EXPECT_THROW(paper_table(other), Error);
}

TEST(Paper, IsAKeyOfThePlan) {
  const Plan plan = paper_study().plan;
  EXPECT_EQ(parse_plan(to_yaml(plan), "p").paper, "text-classification");
  EXPECT_THROW(parse_plan("data: d\npaper: cooking\nrungs: [{kind: majority}]\n", "p"), Error);
}

}  // namespace
}  // namespace wattle
