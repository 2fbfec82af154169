#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <wattle/study.h>

namespace wattle::inline study {

/// What a plan may ask. Its questions, answers and truths are those of src/data and src/tasks.
struct PlanTask {
  std::string_view name;     ///< as plans write it
  std::string_view answers;  ///< the task of src/tasks that gives such answers
  bool labelled = false;     ///< truths are labels of a set: rungs that learn from labelled texts fit
  std::vector<std::string_view> metrics;  ///< those of a plan that names none
  bool table = false;  ///< questions are rows of a table: rungs that learn from its columns fit
};

std::span<const PlanTask> plan_tasks();

/// Error naming the tasks there are.
const PlanTask& plan_task(std::string_view name);

/// What the plan asks: that of its `task`, or of a table whose `fields` name a score, the one that is
/// answered by numbers.
const PlanTask& plan_task(const Plan& plan);

}  // namespace wattle::inline study
