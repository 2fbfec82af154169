#include <gtest/gtest.h>
#include <wattle/error.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "base/threads.h"
#include "train/nearest.h"

namespace wattle {
namespace {

Matrix matrix_of(const nlohmann::json& rows) {
  Matrix matrix(static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows[0].size()));
  for (size_t i = 0; i < rows.size(); ++i)
    for (size_t j = 0; j < rows[i].size(); ++j)
      matrix.row(static_cast<int64_t>(i))[j] = rows[i][j].get<float>();
  return matrix;
}

class NearestGolden : public testing::Test {
 protected:
  void SetUp() override {
    std::ifstream file(WATTLE_SOURCE_DIR "/tests/golden/nearest.json");
    golden_ = nlohmann::json::parse(file);
    rows_ = matrix_of(golden_["rows"]);
    labels_ = golden_["labels"].get<std::vector<int>>();
  }
  NearestOptions options(std::vector<int64_t> neighbours) const {
    NearestOptions options;
    options.neighbours = std::move(neighbours);
    options.fold_of = golden_["folds"].get<std::vector<int>>();
    return options;
  }
  int n_labels() const { return golden_["n_labels"].get<int>(); }

  nlohmann::json golden_;
  Matrix rows_;
  std::vector<int> labels_;
};

TEST_F(NearestGolden, SharesAreThoseOfScikitLearn) {
  const Matrix queries = matrix_of(golden_["queries"]);
  for (const auto& [k, expected] : golden_["shares"].items()) {
    NearestModel model = train_nearest(rows_.view(), labels_, n_labels(), options({std::stoll(k)})).model;
    EXPECT_EQ(model.neighbours(), std::stoll(k));
    for (size_t i = 0; i < expected.size(); ++i) {
      Work work;
      std::vector<float> shares(static_cast<size_t>(n_labels()));
      model.shares(queries.row(static_cast<int64_t>(i)), shares, work);
      for (size_t label = 0; label < shares.size(); ++label)
        EXPECT_NEAR(shares[label], expected[i][label].get<double>(), 2e-6) << k << " " << i;
      EXPECT_EQ(work.macs_fp32, static_cast<double>(rows_.rows() * rows_.columns()));
    }
  }
}

TEST_F(NearestGolden, CrossValidationIsThatOfScikitLearn) {
  std::vector<int64_t> neighbours;
  double best = 0;
  for (const auto& [k, accuracy] : golden_["cross_validation"].items()) {
    neighbours.push_back(std::stoll(k));
    best = std::max(best, accuracy.get<double>());
  }
  const NearestFit fit = train_nearest(rows_.view(), labels_, n_labels(), options(neighbours));
  ASSERT_EQ(fit.scores.size(), neighbours.size());
  for (const CostScore& score : fit.scores) {
    const auto k = std::to_string(static_cast<int64_t>(score.cost));
    EXPECT_NEAR(score.accuracy, golden_["cross_validation"][k].get<double>(), 1e-9) << k;
    if (static_cast<int64_t>(score.cost) == fit.model.neighbours()) {
      EXPECT_NEAR(score.accuracy, best, 1e-9);
    }
  }
}

TEST_F(NearestGolden, AnyNumberOfThreadsGivesTheSameBits) {
  const int before = threads();
  const Matrix queries = matrix_of(golden_["queries"]);
  std::vector<std::vector<float>> answers;
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    NearestFit fit = train_nearest(rows_.view(), labels_, n_labels(), options({3, 7}));
    std::vector<float> all;
    for (int64_t i = 0; i < queries.rows(); ++i) {
      Work work;
      std::vector<float> shares(static_cast<size_t>(n_labels()));
      fit.model.shares(queries.row(i), shares, work);
      all.insert(all.end(), shares.begin(), shares.end());
    }
    answers.push_back(all);
  }
  set_threads(before);
  EXPECT_EQ(answers[0], answers[1]);
  EXPECT_EQ(answers[0], answers[2]);
}

Matrix rows_of(std::initializer_list<std::vector<float>> rows) {
  Matrix matrix(static_cast<int64_t>(rows.size()), static_cast<int64_t>(rows.begin()->size()));
  int64_t i = 0;
  for (const auto& row : rows) std::ranges::copy(row, matrix.row(i++).begin());
  return matrix;
}

std::vector<float> shares_of(NearestModel& model, std::vector<float> query) {
  Work work;
  std::vector<float> shares(static_cast<size_t>(model.n_labels()));
  model.shares(query, shares, work);
  return shares;
}

TEST(Nearest, OfEqualCosinesTheEarlierRowIsNearer) {
  NearestModel model(rows_of({{0, 1}, {2, 0}, {1, 0}, {5, 0}}), {0, 2, 1, 1}, 3, 1, "x");
  EXPECT_EQ(shares_of(model, {3, 0}), (std::vector<float>{0, 0, 1}));
}

TEST(Nearest, WhatPointsAwayHasNoVoteAndZerosDivideThem) {
  NearestModel model(rows_of({{1, 0}, {-1, 0}}), {0, 1}, 2, 2, "x");
  EXPECT_EQ(shares_of(model, {2, 0}), (std::vector<float>{1, 0}));
  EXPECT_EQ(shares_of(model, {0, 0}), (std::vector<float>{0.5f, 0.5f}));
}

TEST(Nearest, RowsComeBackAsTheyWereKept) {
  Matrix rows(37, 5);
  for (int64_t i = 0; i < 37; ++i)
    for (size_t j = 0; j < 5; ++j)
      rows.row(i)[j] = static_cast<float>((i * 7 + static_cast<int64_t>(j) * 3) % 11) - 5;
  std::vector<int32_t> labels(37, 0);
  labels[3] = 1;
  Matrix copy(37, 5);
  std::copy_n(rows.data(), 37 * 5, copy.data());
  const NearestModel model(std::move(copy), labels, 2, 3, "x");
  const Matrix kept = model.rows();
  for (int64_t i = 0; i < 37; ++i) {
    double length = 0;
    for (const float value : rows.row(i)) length += static_cast<double>(value) * value;
    for (size_t j = 0; j < 5; ++j) EXPECT_NEAR(kept.row(i)[j] * std::sqrt(length), rows.row(i)[j], 1e-5);
  }
}

TEST(Nearest, ImpossibleModelsAreRefused) {
  EXPECT_THROW(NearestModel(rows_of({{1, 0}}), {0, 1}, 2, 1, "x"), Error);
  EXPECT_THROW(NearestModel(rows_of({{1, 0}}), {2}, 2, 1, "x"), Error);
  EXPECT_THROW(NearestModel(rows_of({{1, 0}}), {-1}, 2, 1, "x"), Error);
  EXPECT_THROW(NearestModel(rows_of({{1, 0}}), {0}, 2, 2, "x"), Error);
  EXPECT_THROW(NearestModel(rows_of({{1, 0}}), {0}, 2, 0, "x"), Error);
  EXPECT_THROW(NearestModel(rows_of({{1, INFINITY}}), {0}, 2, 1, "x"), Error);
}

}  // namespace
}  // namespace wattle
