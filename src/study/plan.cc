#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/ranges.h>
#include <wattle/error.h>
#include <wattle/study.h>

#include "data/task_rows.h"
#include "meter/carbon.h"
#include "metrics/metric.h"
#include "study/plan_task.h"
#include "study/plan_variants.h"
#include "study/rung_yaml.h"
#include "study/scoring.h"
#include "study/yaml_reader.h"

namespace wattle::inline study {
namespace {

void read_data(YamlMap& map, Plan& plan, const std::string& file) {
  const YAML::Node data = map.node("data");
  if (!data.IsDefined()) {
    map.fail_at(map.whole(),
                "a plan needs `data`: a catalogue name, a folder, a file, or {train: FILE, eval: FILE}");
  }
  if (data.IsScalar()) {
    plan.data = map.text("data", "");
    return;
  }
  YamlMap files(data, file, "`data`");
  plan.train_data = files.text("train", "");
  plan.eval_data = files.text("eval", "");
  files.reject_unknown();
  if (plan.train_data.empty() || plan.eval_data.empty()) {
    map.fail_at(data, "`data` must be a name, or name both files: {train: FILE, eval: FILE}");
  }
}

void read_split(YamlMap& map, Plan& plan, const std::string& file) {
  plan.split = map.text("split", plan.split);
  if (plan.split != "auto" && plan.split != "hash") {
    map.fail_at(map.node("split"),
                "`split` must be auto (the data's own, else by hash) or hash (by label and SHA-256 of seed "
                "and text)");
  }
  plan.eval_share = map.number("eval_share", plan.eval_share, 0.01, 0.99);
  if (map.has("rows")) {
    YamlMap rows(map.node("rows"), file, "`rows`");
    plan.max_train = rows.integer("train", 0, 1, 100'000'000);
    plan.max_eval = rows.integer("eval", 0, 1, 100'000'000);
    rows.reject_unknown();
  }
  map.node("rows");
}

void read_rungs(YamlMap& map, Plan& plan, const std::string& file) {
  const YAML::Node rungs = map.node("rungs");
  if (!rungs.IsDefined() || !rungs.IsSequence() || rungs.size() == 0) {
    map.fail_at(rungs.IsDefined() ? rungs : map.whole(),
                "a plan needs `rungs`, a list with at least one, as \"- kind: majority\"");
  }
  const PlanTask& task = plan_task(plan);
  std::set<std::string> names;
  for (const auto& node : rungs) {
    plan.rungs.push_back(read_rung(node, file, task));
    if (!names.insert(plan.rungs.back().name).second) {
      map.fail_at(node, fmt::format("two rungs are called \"{}\"; give one of them another `name`",
                                    plan.rungs.back().name));
    }
  }
}

void read_labels(YamlMap& map, Plan& plan) {
  plan.labels = map.texts("labels");
  if (plan.labels.size() == 1) map.fail_at(map.node("labels"), "`labels` must be a list of two or more");
}

void read_fields(YamlMap& map, Plan& plan, const std::string& file) {
  if (map.has("fields")) {
    YamlMap fields(map.node("fields"), file, "`fields`");
    std::vector<std::string_view> parts{"label", "score"};
    if (!plan_task(plan.task).table) {
      parts.clear();
      for (const TaskPart& part : data_task(plan.task).parts) parts.push_back(part.name);
    }
    for (const std::string_view part : parts) {
      const std::string field = fields.text(std::string(part), "");
      if (!field.empty()) plan.fields[std::string(part)] = field;
    }
    fields.reject_unknown();
  }
  const YAML::Node node = map.node("fields");
  if (plan_task(plan.task).table && plan.fields.size() > 1)
    map.fail_at(node, "a table is asked for a `label` or for a `score`; name one of them in `fields`");
  if (plan_task(plan.task).table) plan.leave_out = map.texts("leave_out");
}

void read_task(YamlMap& map, Plan& plan, const std::string& file) {
  plan.task = map.text("task", plan.task);
  const PlanTask* task = nullptr;
  try {
    task = &plan_task(plan.task);
  } catch (const Error& error) {
    map.fail_at(map.node("task"), error.what());
  }
  const bool texts = task->labelled && !task->table;
  if (!texts) read_fields(map, plan, file);
  if (plan_task(plan).labelled) read_labels(map, plan);
  if (!texts) return;
  plan.text = map.text("text", plan.text);
  plan.label = map.text("label", plan.label);
}

/// The metrics and the bar, which is in the first one's numbers.
void read_metrics(YamlMap& map, Plan& plan) {
  if (map.has("metric")) {
    plan.metrics = map.texts("metric");
  } else {
    const PlanTask& task = plan_task(plan);
    plan.metrics.assign(task.metrics.begin(), task.metrics.end());
  }
  std::set<std::string> seen;
  bool share = false;
  for (const std::string& metric : plan.metrics) {
    try {
      const auto known = metric_for(plan_task(plan), metric);
      if (seen.empty()) share = is_share(*known);
    } catch (const Error& error) {
      map.fail_at(map.has("metric") ? map.node("metric") : map.whole(), error.what());
    }
    if (!seen.insert(metric).second)
      map.fail_at(map.node("metric"), fmt::format("`metric` names {} twice; remove one of them", metric));
  }
  constexpr double kAny = 1e9;
  if (map.has("quality")) plan.quality = map.number("quality", 0, share ? 0 : -kAny, share ? 1 : kAny);
  map.node("quality");
}

void check_stages(YamlMap& map, const Plan& plan) {
  for (const Rung& rung : plan.rungs) {
    for (const std::string& stage : rung.stages) {
      const bool found = std::ranges::any_of(plan.rungs, [&](const Rung& other) {
        return other.kind != RungKind::kCascade && names_cell_of(stage, other);
      });
      if (!found) {
        map.fail_at(map.node("rungs"),
                    fmt::format("the cascade \"{}\" has a stage \"{}\", which is no other rung; name a "
                                "rung, or a rung and its precision, as \"all-minilm-l6-v2 Q8_0\"",
                                rung.name, stage));
      }
    }
  }
}

Plan read_keys(const YAML::Node& root, const std::string& file) {
  YamlMap map(root, file, "a plan");
  Plan plan;
  plan.name = map.text("name", std::filesystem::path(file).stem().string());
  read_data(map, plan, file);
  read_task(map, plan, file);
  read_split(map, plan, file);
  read_metrics(map, plan);
  read_rungs(map, plan, file);
  check_stages(map, plan);
  read_quick(map, plan, file);
  plan.threads = static_cast<int>(map.integer("threads", 0, 1, 1024));
  plan.rounds = static_cast<int>(map.integer("rounds", plan.rounds, 1, 1000));
  plan.max_rounds = static_cast<int>(map.integer("max_rounds", 0, 1, 1000));
  if (plan.max_rounds != 0 && plan.max_rounds < plan.rounds) {
    map.fail_at(map.node("max_rounds"),
                fmt::format("`max_rounds` must be at least `rounds`, which is {}", plan.rounds));
  }
  plan.interval = map.number("interval", plan.interval, 0.001, 1);
  plan.window_seconds = map.number("window_seconds", plan.window_seconds, 0.01, 3600);
  plan.warm_up_seconds = map.number("warm_up_seconds", plan.warm_up_seconds, 0, 3600);
  plan.disturbance = map.number("disturbance", plan.disturbance, 0.001, 1);
  plan.attempts = static_cast<int>(map.integer("attempts", plan.attempts, 1, 100));
  plan.time_limit_seconds = map.number("time_limit_seconds", plan.time_limit_seconds, 1, 1e6);
  plan.meter = map.text("meter", "");
  plan.zone = map.text("zone", "");
  plan.paper = map.text("paper", "");
  if (!plan.paper.empty() && std::ranges::find(paper_tasks(), plan.paper) == paper_tasks().end())
    map.fail_at(map.node("paper"), fmt::format("`paper` must be one of {}", fmt::join(paper_tasks(), ", ")));
  try {
    if (!plan.zone.empty()) carbon_zone(plan.zone);
  } catch (const Error& error) {
    map.fail_at(map.node("zone"), error.what());
  }
  plan.seed = static_cast<uint64_t>(map.integer("seed", 1, 0, INT64_MAX));
  map.reject_unknown();
  return plan;
}

}  // namespace

const std::vector<std::string>& paper_tasks() {
  static const std::vector<std::string> kTasks{"text-classification",  "question-answering",
                                               "token-classification", "masked-words",
                                               "text-generation",      "summarisation"};
  return kTasks;
}

Plan parse_plan(std::string_view yaml, const std::string& file_name) {
  try {
    const YAML::Node root = YAML::Load(std::string(yaml));
    if (!root.IsDefined() || root.IsNull())
      fail("{}:1: the plan is empty; start from examples/plans/demo.yaml", file_name);
    return read_keys(root, file_name);
  } catch (const YAML::Exception& error) {
    fail("{}:{}: this is not YAML ({}); mend the line", file_name,
         error.mark.is_null() ? 1 : error.mark.line + 1, error.msg);
  }
}

Plan read_plan(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (std::filesystem::is_directory(path) || !file || !(text << file.rdbuf())) {
    fail("{}: the plan cannot be read; give the path of a YAML file", path.string());
  }
  return parse_plan(text.str(), path.string());
}

std::string to_yaml(const Plan& plan) {
  YAML::Emitter out;
  out.SetDoublePrecision(15);
  const auto put = [&](const char* key, const auto& value) {
    out << YAML::Key << key << YAML::Value << value;
  };
  out << YAML::BeginMap;
  put("name", plan.name);
  if (plan.data.empty()) {
    put("data", std::map<std::string, std::string>{{"train", plan.train_data}, {"eval", plan.eval_data}});
  } else {
    put("data", plan.data);
  }
  put("task", plan.task);
  const PlanTask& task = plan_task(plan);
  if (task.labelled && !task.table) put("text", plan.text), put("label", plan.label);
  if (task.labelled && !plan.labels.empty()) put("labels", plan.labels);
  if (!plan.fields.empty()) put("fields", plan.fields);
  if (!plan.leave_out.empty()) put("leave_out", plan.leave_out);
  put("split", plan.split), put("eval_share", plan.eval_share);
  std::map<std::string, int64_t> rows;
  if (plan.max_train > 0) rows["train"] = plan.max_train;
  if (plan.max_eval > 0) rows["eval"] = plan.max_eval;
  if (!rows.empty()) put("rows", rows);
  out << YAML::Key << "metric" << YAML::Value << YAML::Flow << plan.metrics;
  if (plan.quality) put("quality", *plan.quality);
  if (plan.threads > 0) put("threads", plan.threads);
  put("rounds", plan.rounds);
  if (plan.max_rounds > 0) put("max_rounds", plan.max_rounds);
  put("interval", plan.interval), put("window_seconds", plan.window_seconds);
  put("warm_up_seconds", plan.warm_up_seconds), put("disturbance", plan.disturbance),
      put("attempts", plan.attempts);
  put("time_limit_seconds", plan.time_limit_seconds);
  if (!plan.meter.empty()) put("meter", plan.meter);
  if (!plan.zone.empty()) put("zone", plan.zone);
  if (!plan.paper.empty()) put("paper", plan.paper);
  put("seed", plan.seed);
  write_quick(out, plan);
  out << YAML::Key << "rungs" << YAML::Value << YAML::BeginSeq;
  for (const Rung& rung : plan.rungs) write_rung(out, rung);
  out << YAML::EndSeq << YAML::EndMap;
  return std::string(out.c_str()) + "\n";
}

}  // namespace wattle::inline study
