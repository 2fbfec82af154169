#include "cli/compare_plan.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "cli/paths.h"
#include "data/files.h"
#include "data/labelled_rows.h"
#include "data/task_guess.h"
#include "pull/catalogue.h"
#include "study/plan_task.h"
#include "study/scoring.h"
#include "tasks/raw_rows.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

// Beyond these counts more rows cost minutes and move the intervals little.
constexpr int64_t kMostTraining = 4000, kMostAsked = 1000, kMostScored = 300, kMostGenerated = 60;

bool generates(const std::string& task) {
  return task == "generate" || task == "summarise" || task == "translate";
}

int64_t most_rows(const std::string& task) {
  if (generates(task)) return kMostGenerated;
  return task == "perplexity" || task == "answer" || task == "rank" ? kMostScored : kMostAsked;
}

/// Short windows: the first table is wanted soon, and a race has as many rounds as it needs. Of few rows a
/// greater share is asked: the doubt about quality is what decides last. `rows`: of the file; `splits`: some
/// of them are for training.
void set_pace(Plan& plan, int64_t rows, bool splits) {
  constexpr double kRowsWanted = 200, kLeastShare = 0.2, kGreatestShare = 0.4, kRowsOfARound = 80;
  plan.eval_share = std::clamp(kRowsWanted / static_cast<double>(rows), kLeastShare, kGreatestShare);
  const double asked = std::min(static_cast<double>(plan.max_eval),
                                (splits ? plan.eval_share : 1) * static_cast<double>(rows));
  plan.rounds = static_cast<int>(std::clamp(std::ceil(asked / kRowsOfARound), 5.0, 12.0));
  plan.window_seconds = 0.3;
  plan.warm_up_seconds = 0.6;
  plan.attempts = 1;
}

std::string absolute_of(const std::string& path) {
  return fs::absolute(path).lexically_normal().string();
}

void set_data(Plan& plan, const CompareFlags& flags) {
  const fs::path named(flags.data);
  plan.name = (named.has_filename() ? named : named.parent_path()).stem().string();
  const std::string data = fs::exists(flags.data) ? absolute_of(flags.data) : flags.data;
  if (flags.train.empty()) {
    plan.data = data;
  } else {
    plan.train_data = absolute_of(flags.train);
    plan.eval_data = data;
  }
}

/// Columns that were given, by the names that tasks have for them.
TaskFields given_fields(const CompareFlags& flags) {
  TaskFields fields = flags.fields;
  if (!flags.text.empty()) fields["text"] = flags.text;
  if (!flags.label.empty()) fields["label"] = flags.label;
  return fields;
}

/// The task, and its columns where they have other names than the task's.
TaskGuess task_of(const CompareFlags& flags, const fs::path& path, std::vector<std::string>& notes) {
  const TaskFields given = given_fields(flags);
  TaskGuess task{flags.task, given, {}};
  if (flags.task.empty()) {
    try {
      task = guess_task(path, given);
    } catch (const Error& error) {
      throw Error(std::string(error.what()) +
                  " with --task, and name columns with --text, --label or --field");
    }
    notes.push_back(fmt::format("the task is {}, by {}; --task names another", task.task, task.why));
    if (task.task != "table") task.fields.insert(given.begin(), given.end());
  } else if (flags.task == "table" && !flags.label.empty()) {
    task.fields = table_fields(path, flags.label);
  } else if (flags.task == "table" && given.empty()) {
    task.fields = guess_task(path).fields;
  }
  return task;
}

void set_classify(Plan& plan, const TaskGuess& task) {
  const auto field = [&](const char* part, const char* usual) {
    const auto found = task.fields.find(part);
    return found == task.fields.end() ? std::string(usual) : found->second;
  };
  plan.text = field("text", "text"), plan.label = field("label", "label");
  for (const auto& [part, column] : task.fields) {
    if (part != "text" && part != "label")
      fail("--field {}={}: rows of classify have a text and a label; name another --task", part, column);
  }
}

int64_t lines_of(const fs::path& path) {
  return static_cast<int64_t>(
      read_raw_rows(find_data_files(path).eval, RowFormat::kByName, "text", BadRows::kLeaveOut).rows.size());
}

}  // namespace

ComparePlan make_compare_plan(const CompareFlags& flags) {
  ComparePlan compare;
  Plan& plan = compare.plan;
  const fs::path path = resolve_data(flags.data, cache_directory());
  set_data(plan, flags);
  const TaskGuess task = task_of(flags, path, compare.notes);
  plan.task = task.task;
  plan_task(plan.task);
  std::vector<std::string> labels;
  int64_t rows = 0;
  if (plan.task == "classify") {
    set_classify(plan, task);
    LabelledOptions options;
    options.text_field = plan.text, options.label_field = plan.label;
    options.text_flag = "--text";
    const LabelledRows read = read_labelled_rows(find_data_files(path).eval, options);
    labels = read.label_names;
    rows = static_cast<int64_t>(read.rows.size());
  } else {
    plan.fields = task.fields;
    rows = lines_of(path);
  }
  const PlanTask& asked = plan_task(plan);
  plan.metrics = flags.metrics;
  if (plan.metrics.empty()) plan.metrics.assign(asked.metrics.begin(), asked.metrics.end());
  if (flags.metrics.empty() && asked.labelled) plan.metrics = {"accuracy", "macro_f1"};
  for (const std::string& metric : plan.metrics) metric_for(asked, metric);
  plan.quality = flags.quality;
  plan.max_train = kMostTraining;
  plan.max_eval = flags.rows > 0 ? flags.rows : most_rows(plan.task);
  const bool learns = plan.task == "classify" || plan.task == "table";
  set_pace(plan, rows, learns && flags.train.empty() && find_data_files(path).train.empty());
  plan.rungs = contenders_for(flags, plan.task, labels);
  return compare;
}

}  // namespace wattle
