#include <gtest/gtest.h>
#include <unistd.h>
#include <wattle/error.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "file/gguf_writer.h"
#include "train/trainer.h"

namespace wattle {
namespace {

using Json = nlohmann::json;

TableRow row_of(const Json& cells) {
  TableRow row;
  for (const Json& cell : cells) {
    if (cell.is_null()) {
      row.cells.emplace_back();
    } else if (cell.is_number()) {
      row.cells.emplace_back(cell.get<double>());
    } else {
      row.cells.emplace_back(cell.get<std::string>());
    }
  }
  return row;
}

/// What the error of `what` says; "" without one.
template <typename Do>
std::string error_of(Do what) {
  try {
    what();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class TableTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(WATTLE_SOURCE_DIR "/tests/golden/table.json");
    golden_ = Json::parse(file);
    table_.columns = golden_["columns"].get<std::vector<std::string>>();
    for (const Json& cells : golden_["rows"]) table_.rows.push_back(row_of(cells));
    all_ = table_.rows;
    for (const Json& cells : golden_["unseen"]) all_.push_back(row_of(cells));
    path_ = std::filesystem::temp_directory_path() / ("wattle_table_" + std::to_string(::getpid()) + ".gguf");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  Head saved(const Head& head) const {
    head.save(path_);
    return Head::load(ModelFile::open(path_));
  }
  std::vector<int> labels() const { return golden_["labels"].get<std::vector<int>>(); }
  std::vector<float> numbers() const { return golden_["numbers"].get<std::vector<float>>(); }

  Json golden_;
  TableData table_;
  std::vector<TableRow> all_;
  std::filesystem::path path_;
};

TEST_F(TableTest, FeaturesOfScikitLearn) {
  const TableFeatures features = TableFeatures::fit(table_.columns, table_.rows, {});
  SparseVector x;
  for (size_t i = 0; i < all_.size(); ++i) {
    const auto expected = golden_["features"][i].get<std::vector<double>>();
    ASSERT_EQ(static_cast<size_t>(features.size()), expected.size());
    features.features(all_[i], "row", x);
    EXPECT_TRUE(std::ranges::is_sorted(x.columns));
    std::vector<double> dense(expected.size(), 0);
    for (size_t e = 0; e < x.size(); ++e) dense[static_cast<size_t>(x.columns[e])] = x.values[e];
    for (size_t f = 0; f < expected.size(); ++f) EXPECT_NEAR(dense[f], expected[f], 1e-5) << i << " " << f;
  }
}

TEST_F(TableTest, ProbabilitiesOfLogisticRegression) {
  Head head = saved(train_on_table(table_, labels(), {"no", "yes"}, {.costs = {golden_["cost"]}}));
  EXPECT_EQ(head.features(), "table");
  Work work;
  for (size_t i = 0; i < all_.size(); ++i) {
    const Prediction prediction = head.predict(all_[i], "row", work);
    // LIBLINEAR stops at a hundredth of the first gradient.
    EXPECT_NEAR(prediction.scores[1], golden_["probabilities"][i][1].get<double>(), 0.02) << i;
  }
}

TEST_F(TableTest, NumbersOfRidge) {
  Head head = saved(train_numbers_on_table(table_, numbers(), {.costs = {golden_["cost"]}}));
  EXPECT_TRUE(head.answers_numbers());
  Work work;
  for (size_t i = 0; i < all_.size(); ++i)
    EXPECT_NEAR(head.predict(all_[i], "row", work).number, golden_["answers"][i].get<double>(), 1e-4) << i;
  EXPECT_GT(work.macs_fp32, 0);
}

TEST_F(TableTest, EveryKindIsStoredAsItAnswers) {
  for (const HeadKind kind : {HeadKind::kMajority, HeadKind::kLinear, HeadKind::kForest}) {
    const TrainOptions options{.kind = kind, .trees = 20};
    Head by_kind[] = {train_on_table(table_, labels(), {"no", "yes"}, options),
                      train_numbers_on_table(table_, numbers(), options)};
    for (Head& trained : by_kind) {
      Head loaded = saved(trained);
      Work a, b;
      for (const TableRow& row : all_) {
        const Prediction expected = trained.predict(row, "row", a), got = loaded.predict(row, "row", b);
        EXPECT_EQ(got.scores, expected.scores) << name(kind);
        EXPECT_EQ(got.number, expected.number) << name(kind);
      }
    }
  }
  Work work;
  Head mean = train_numbers_on_table(table_, numbers(), {.kind = HeadKind::kMajority});
  EXPECT_NEAR(mean.predict(all_[0], "row", work).number, 56.75 / 12, 1e-5);
}

TEST_F(TableTest, NumbersInWordsAndCategoriesInNumbers) {
  const std::vector<std::string> names = {"a", "b"};
  const std::vector<TableRow> rows = {row_of({"1", 7}), row_of({"2.5", 8}), row_of({"-3e2", 7})};
  const TableFeatures features = TableFeatures::fit(names, rows, {.as_categories = {"b"}});
  EXPECT_TRUE(features.columns()[0].is_number());
  EXPECT_EQ(features.columns()[1].categories, (std::vector<std::string>{"7", "8"}));
  SparseVector x;
  features.features(row_of({"+1", "8"}), "row", x);
  EXPECT_EQ(x.columns, (std::vector<int32_t>{0, 2}));
}

TEST_F(TableTest, WhatDoesNotFitIsNamed) {
  const TableFeatures features = TableFeatures::fit(table_.columns, table_.rows, {});
  SparseVector x;
  const auto error = [&](const Json& cells) {
    return error_of([&] { features.features(row_of(cells), "rows.csv: row 3", x); });
  };
  EXPECT_EQ(error({31, "red", 1, 4, "Ulm"}), "");
  EXPECT_TRUE(holds(error({31, "pink", 1, 4, "Ulm"}), "rows.csv: row 3: column 'colour' holds 'pink'"));
  EXPECT_TRUE(holds(error({"old", "red", 1, 4, "Ulm"}), "'age' holds 'old'"));
  EXPECT_TRUE(holds(error({31, 5, 1, 4, "Ulm"}), "'colour' holds '5'"));
  EXPECT_TRUE(holds(error({31, "red", 1, 4}), "has 4 cells"));

  const auto fit = [&](const std::vector<std::string>& names, const std::vector<TableRow>& rows,
                       const TableFitOptions& options = {}) {
    return error_of([&] { TableFeatures::fit(names, rows, options); });
  };
  EXPECT_TRUE(holds(fit({"a"}, {row_of({nullptr}), row_of({nullptr})}), "no value in any row"));
  EXPECT_TRUE(holds(fit({"a"}, {row_of({"inf"}), row_of({1})}), "finite"));
  EXPECT_TRUE(holds(fit({"a"}, {row_of({1}), row_of({2})}, {.as_categories = {"b"}}), "'b'"));
  std::vector<TableRow> texts;
  for (int i = 0; i < 60; ++i) texts.push_back(row_of({"text " + std::to_string(i)}));
  EXPECT_TRUE(holds(fit({"a"}, texts), "60 different texts"));
  EXPECT_TRUE(holds(error_of([&] {
                      train_on_table(table_, labels(), {"no", "yes"}, {.kind = HeadKind::kKeywords});
                    }),
                    "keywords"));
}

TEST_F(TableTest, DamagedColumnsAreRefused) {
  const auto damage = [](TableColumn first, TableColumn second) {
    return error_of([&] { TableFeatures({std::move(first), std::move(second)}, true, "x"); });
  };
  EXPECT_EQ(damage({"a", {}}, {"b", {"x", "y"}}), "");
  EXPECT_NE(damage({"a", {}}, {"a", {}}), "") << "a name twice";
  EXPECT_NE(damage({"a", {}}, {"b", {"y", "x"}}), "") << "categories out of order";
  EXPECT_NE(damage({"a", {}}, {"b", {"x", "x"}}), "") << "a category twice";
  EXPECT_NE(damage({"a", {}, false, 0, 0, 0}, {"b", {}}), "") << "no deviation";
  EXPECT_NE(damage({"a", {}, false, 0, NAN, 1}, {"b", {}}), "") << "a mean that is no number";

  Metadata metadata;
  metadata.set("general.architecture", Value::of(std::string("wattle-head")));
  metadata.set("wattle.head.kind", Value::of(std::string("linear")));
  metadata.set("wattle.head.unit", Value::of(std::string("row")));
  metadata.set("wattle.head.table.columns", Value::of(std::vector<std::string>{"a", "b"}));
  metadata.set("wattle.head.table.category_counts", Value::of(std::vector<int64_t>{0, 5}));
  metadata.set("wattle.head.table.categories", Value::of(std::vector<std::string>{"x", "y"}));
  metadata.set("wattle.head.table.misses", Value::of(std::vector<int64_t>{0, 0}));
  for (const char* key : {"medians", "means", "deviations"})
    metadata.set(std::string("wattle.head.table.") + key, Value::of(std::vector<double>{1, 1}));
  const auto load = [&] {
    write_gguf(path_, metadata, {});
    return error_of([&] { Head::load(ModelFile::open(path_)); });
  };
  EXPECT_TRUE(holds(load(), "categories"));
  metadata.set("wattle.head.table.misses", Value::of(std::vector<int64_t>{0}));
  EXPECT_TRUE(holds(load(), "columns"));
}

}  // namespace
}  // namespace wattle
