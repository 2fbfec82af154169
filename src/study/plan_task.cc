#include "study/plan_task.h"

#include <algorithm>

#include <fmt/ranges.h>
#include <wattle/error.h>

namespace wattle::inline study {

std::span<const PlanTask> plan_tasks() {
  static const std::vector<PlanTask> kTasks{
      {"classify", "classify", true, {"accuracy", "macro_f1"}},
      {"tag", "tag", false, {"span_f1"}},
      {"answer", "answer", false, {"answer_f1", "exact_match"}},
      {"fill", "fill", false, {"top_1", "top_5"}},
      {"generate", "generate", false, {"exact_match"}},
      {"summarise", "summarise", false, {"rouge_l", "rouge_1", "rouge_2"}},
      {"translate", "translate", false, {"chrf", "bleu"}},
      {"perplexity", "perplexity", false, {"perplexity", "bits_per_byte"}},
      {"similarity", "embed", false, {"spearman"}},
      {"rank", "rank", false, {"ndcg_10", "recall_10"}},
      {"choose", "classify", false, {"accuracy"}},
      {"table", "classify", true, {"accuracy"}, true},
  };
  return kTasks;
}

const PlanTask& plan_task(std::string_view name) {
  const auto found = std::ranges::find(plan_tasks(), name, &PlanTask::name);
  if (found != plan_tasks().end()) return *found;
  std::vector<std::string_view> names;
  for (const PlanTask& task : plan_tasks()) names.push_back(task.name);
  fail("there is no task \"{}\" of a study; take one of {}", name, fmt::join(names, ", "));
}

const PlanTask& plan_task(const Plan& plan) {
  static const PlanTask kNumbers{"table", "regression", false, {"rmse"}, true};
  const PlanTask& task = plan_task(plan.task);
  return task.table && plan.fields.contains("score") ? kNumbers : task;
}

}  // namespace wattle::inline study
