#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <wattle/study.h>
#include <nlohmann/json.hpp>

#include "metrics/metric.h"
#include "study/plan_task.h"
#include "tasks/question.h"

namespace wattle::inline study {

/// A truth as the store keeps it: {"label"}, {"texts"}, {"spans"}, {"score"}, {"relevance"}, or {}.
nlohmann::ordered_json truth_json(const Truth& truth);
/// Error for anything else.
Truth truth_from_json(const nlohmann::ordered_json& json);

/// The range that a metric states at the end of its description: "0 to 1".
std::string_view range_of(const Metric& metric);
/// Whether that is 0 to 1: then people read its figures in per cent.
bool is_share(const Metric& metric);

/// The metric of that name for answers of a plan's task. Error for one that is not known, and where the
/// task's answers are labels, or numbers of a table, for one that does not score such.
std::unique_ptr<const Metric> metric_for(const PlanTask& task, const std::string& name);

/// Scores the answers of a study by all metrics of its plan.
class Scorer {
 public:
  /// `task` is a plan's. Error for a metric that is not known.
  Scorer(const PlanTask& task, const std::vector<std::string>& metrics,
         const std::vector<std::string>& labels, std::vector<Truth> truths);

  /// `answer` as to_json(Answer) writes it. Error where it is none of the task, or not one that the first
  /// metric scores; another metric that does not score it leaves an empty score.
  Output score(int64_t row, const nlohmann::ordered_json& answer, const Question* question = nullptr) const;

 private:
  std::string task_;
  std::vector<std::unique_ptr<const Metric>> metrics_;
  std::vector<Truth> truths_;
};

/// What the cell's rows contribute to the plan's metric at `place`, in the order of its outputs. None where a
/// row was not scored by it.
std::vector<RowScore> row_scores(const CellResult& cell, size_t place);

/// The metric that decides, or another one of the plan.
std::unique_ptr<const Metric> metric_of(const Results& results, size_t place = 0);

}  // namespace wattle::inline study
