#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wattle {

/// What a plan may ask. Its questions, answers and truths are those of src/data and src/tasks.
struct PlanTask {
  std::string_view name;     ///< as plans write it
  std::string_view answers;  ///< the task of src/tasks that gives such answers
  bool labelled = false;     ///< truths are labels of a set: rungs that learn from labelled texts fit
  std::vector<std::string_view> metrics;  ///< those of a plan that names none
};

std::span<const PlanTask> plan_tasks();

/// Error naming the tasks there are.
const PlanTask& plan_task(std::string_view name);

}  // namespace wattle
