#pragma once

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "metrics/metric.h"

namespace wattle {

/// What the reference libraries give (tests/golden/make_metrics.py).
inline nlohmann::json golden(const std::string& name) {
  std::ifstream file(WATTLE_SOURCE_DIR "/tests/golden/metrics/" + name + ".json");
  return nlohmann::json::parse(file);
}

inline Answer text_answer(std::string text) {
  Answer answer;
  answer.value = TextAnswer{std::move(text), {}};
  return answer;
}

inline Answer score_answer(double score) {
  Answer answer;
  answer.value = ScoreAnswer{score};
  return answer;
}

/// Labels "0", "1" ... with a probability each.
inline Answer label_answer(std::vector<float> probabilities) {
  auto names = std::make_shared<std::vector<std::string>>();
  for (size_t i = 0; i < probabilities.size(); ++i) names->push_back(std::to_string(i));
  const auto best = std::ranges::max_element(probabilities) - probabilities.begin();
  Answer answer;
  answer.value = LabelAnswer{static_cast<int>(best), std::move(probabilities), std::move(names), {}};
  return answer;
}

/// An answer and its truth, in the order of the rows.
using Pairs = std::vector<std::pair<Answer, Truth>>;

inline std::vector<RowScore> rows_of(const Metric& metric, const Pairs& pairs) {
  std::vector<RowScore> rows;
  for (const auto& [answer, truth] : pairs) rows.push_back(metric.row(answer, truth));
  return rows;
}

inline double value_of(const Metric& metric, const Pairs& pairs) {
  return metric.value(rows_of(metric, pairs));
}

/// Rows {answer, references}.
inline Pairs text_pairs(const nlohmann::json& rows) {
  Pairs pairs;
  for (const auto& row : rows)
    pairs.emplace_back(text_answer(row.at("answer")), TextsTruth{row.at("references")});
  return pairs;
}

inline constexpr double kNear = 1e-12;

}  // namespace wattle
