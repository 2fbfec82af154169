#include <cstdio>
#include <map>
#include <memory>

#include <fmt/format.h>
#include <wattle/error.h>

#include "cli/paths.h"
#include "cli/verbs.h"
#include "data/task_rows.h"
#include "report/format.h"
#include "study/plan_task.h"
#include "study/scoring.h"
#include "tasks/raw_rows.h"

namespace wattle {
namespace {

using Json = nlohmann::ordered_json;

struct Flags {
  std::string answers, data, task = "classify";
  std::vector<std::string> fields, metrics;
  int64_t seed = 1;
  bool json = false;
};

/// What `wattle run` writes beside an answer.
constexpr const char* kBeside[] = {"id",          "truncated", "energy_joules", "energy_low",
                                   "energy_high", "grade",     "energy_phases", "seconds"};

TaskFields fields_of(const std::vector<std::string>& texts) {
  TaskFields fields;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
      fail("--field {}: is not PART=FIELD, for example --field text=dialogue", text);
    fields[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return fields;
}

/// By the id of the row that they answer, as JSON; without one by their place. Error where two answer one
/// row.
std::map<std::string, Json> read_answers(const std::string& path) {
  std::map<std::string, Json> answers;
  size_t number = 0;
  for (RawRow& row : read_raw_rows(path, RowFormat::kByName, "text").rows) {
    const std::string place = std::to_string(number++);
    const auto id = row.fields.find("id");
    const std::string key = id == row.fields.end() ? place : id->dump();
    for (const char* beside : kBeside) row.fields.erase(beside);
    if (!answers.emplace(key, std::move(row.fields)).second)
      fail("{}: answers the row with the id {} twice; leave one of them out", row.place, key);
  }
  return answers;
}

struct Scored {
  std::vector<std::string> names;
  std::map<std::string, Interval> figures;
  int64_t rows = 0;
};

Scored score(const Flags& flags, const TaskRows& rows) {
  std::map<std::string, Json> answers = read_answers(flags.answers);
  const PlanTask& task = plan_task(flags.task);
  Scored scored;
  scored.names = flags.metrics;
  if (scored.names.empty()) scored.names.assign(task.metrics.begin(), task.metrics.end());
  const Scorer scorer(task, scored.names, rows.labels, rows.truths);
  CellResult cell;
  for (size_t row = 0; row < rows.questions.size(); ++row) {
    const auto answer = answers.find(rows.questions[row].id);
    if (answer == answers.end()) {
      fail("{}: has no answer to the row with the id {} of {}; answer all rows", flags.answers,
           rows.questions[row].id, flags.data);
    }
    try {
      cell.outputs.push_back(scorer.score(static_cast<int64_t>(row), answer->second, &rows.questions[row]));
    } catch (const Error& error) {
      fail("{}: the answer to the row with the id {}: {}", flags.answers, answer->first, error.what());
    }
    answers.erase(answer);
  }
  if (!answers.empty()) {
    fail("{}: answers the row with the id {}, which is none of the {} rows that {} has with a truth",
         flags.answers, answers.begin()->first, rows.questions.size(), flags.data);
  }
  scored.rows = static_cast<int64_t>(cell.outputs.size());
  for (size_t place = 0; place < scored.names.size(); ++place) {
    const std::vector<RowScore> scores = row_scores(cell, place);
    if (scores.empty()) fail("{}: {} does not score these answers", flags.answers, scored.names[place]);
    scored.figures[scored.names[place]] = make_metric(scored.names[place], rows.labels, rows.truths)
                                              ->interval(scores, static_cast<uint64_t>(flags.seed));
  }
  return scored;
}

std::string table_of(const Scored& scored, const TaskRows& rows) {
  std::string text;
  for (const std::string& metric_name : scored.names) {
    const auto metric = make_metric(metric_name, rows.labels, rows.truths);
    const Interval& figure = scored.figures.at(metric_name);
    text += fmt::format("{}: {} ({} to {})\n", title(metric_name), quality_text(*metric, figure.value),
                        quality_text(*metric, figure.low), quality_text(*metric, figure.high));
  }
  return text + fmt::format("{} rows; 95 % intervals\n", count(scored.rows));
}

std::string json_of(const Scored& scored, const TaskRows& rows) {
  Json json{{"rows", scored.rows}, {"metrics", Json::array()}};
  for (const std::string& metric_name : scored.names) {
    const auto metric = make_metric(metric_name, rows.labels, rows.truths);
    const Interval& figure = scored.figures.at(metric_name);
    json["metrics"].push_back({{"metric", metric_name},
                               {"value", figure.value},
                               {"low", figure.low},
                               {"high", figure.high},
                               {"greater_is_better", metric->greater_is_better()},
                               {"range", range_of(*metric)}});
  }
  return json.dump(2) + "\n";
}

}  // namespace

void add_score(CLI::App& app, const GlobalOptions& options) {
  CLI::App* verb = app.add_subcommand("score", "What answers are worth against labelled rows");
  const auto flags = std::make_shared<Flags>();
  verb->add_option("answers", flags->answers,
                   "one JSON object a row, as `wattle run --output` and other programs write them")
      ->required();
  verb->add_option("--data", flags->data,
                   "the labelled rows that were asked: a file, a folder with eval.*, or a name as in plans")
      ->required();
  verb->add_option("--task", flags->task,
                   "classify, tag, answer, fill, generate, summarise, translate, perplexity, similarity, "
                   "rank or choose")
      ->capture_default_str();
  verb->add_option("--field", flags->fields, "PART=FIELD: which field of the rows is what to the task");
  verb->add_option("--metric", flags->metrics, "names of metrics (default: those of the task)")
      ->delimiter(',');
  verb->add_option("--seed", flags->seed, "of the intervals' bootstrap")->capture_default_str();
  verb->add_flag("--json", flags->json, "as one JSON object");
  verb->footer(
      "Answers belong to the row of their `id`, or to the row of their line where they have none.\n"
      "Examples:\n"
      "  wattle run model.gguf --task classify --input eval.jsonl --output answers.jsonl\n"
      "  wattle score answers.jsonl --data eval.jsonl\n"
      "  wattle score summaries.jsonl --data samsum --task summarise --metric rouge_l,rouge_1 --json");
  verb->callback([flags, &options] {
    const TaskRows rows = read_task_rows(data_path(flags->data), flags->task, fields_of(flags->fields));
    if (!options.quiet) {
      for (const std::string& remark : rows.remarks) fmt::print(stderr, "{}\n", remark);
    }
    const Scored scored = score(*flags, rows);
    fmt::print("{}", flags->json ? json_of(scored, rows) : table_of(scored, rows));
  });
}

}  // namespace wattle
