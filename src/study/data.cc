#include "study/data.h"

#include <algorithm>
#include <numeric>
#include <set>
#include <tuple>

#include <wattle/error.h>

#include "base/sha256.h"
#include "data/files.h"
#include "data/labelled_table.h"
#include "data/split.h"
#include "data/task_rows.h"
#include "study/plan_task.h"
#include "study/rung_yaml.h"
#include "study/scoring.h"

namespace wattle::inline study {
namespace {

namespace fs = std::filesystem;

void append(std::vector<std::string>& remarks, const std::vector<std::string>& more) {
  remarks.insert(remarks.end(), more.begin(), more.end());
}

DataFiles files_of(const Plan& plan, const std::function<fs::path(const std::string&)>& resolve) {
  if (plan.data.empty()) return {resolve(plan.train_data), resolve(plan.eval_data)};
  return find_data_files(resolve(plan.data));
}

/// What tells rows from each other: texts, or all cells of a table's row.
std::vector<std::string> row_texts(const LabelledRows& rows) {
  std::vector<std::string> texts;
  for (const Question& row : rows.rows) texts.push_back(all_text(row));
  return texts;
}

/// The same for sentences: the cells of a row with commas between them.
std::vector<std::string> said_texts(const LabelledRows& rows) {
  std::vector<std::string> texts = row_texts(rows);
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!std::holds_alternative<TableRow>(rows.rows[i].content)) continue;
    texts[i].erase(0, 1);
    std::ranges::replace(texts[i], '\x1f', ',');
  }
  return texts;
}

/// All rows as one set, those for training first.
LabelledRows all_rows(const StudyData& data) {
  LabelledRows all = data.train;
  all.numbers.insert(all.numbers.end(), data.eval.numbers.begin(), data.eval.numbers.end());
  all.rows.insert(all.rows.end(), data.eval.rows.begin(), data.eval.rows.end());
  all.labels.insert(all.labels.end(), data.eval.labels.begin(), data.eval.labels.end());
  all.repaired += data.eval.repaired;
  all.label_names = data.eval.label_names;
  return all;
}

LabelledRows rows_at(const LabelledRows& rows, const std::vector<size_t>& places) {
  LabelledRows some{{}, {}, rows.label_names, 0};
  for (const size_t place : places) {
    some.rows.push_back(rows.rows[place]);
    if (!rows.labels.empty()) some.labels.push_back(rows.labels[place]);
    if (!rows.numbers.empty()) some.numbers.push_back(rows.numbers[place]);
  }
  return some;
}

/// Splits by label, so that both sides have the labels in like shares, in the order of the rows. Rows with
/// numbers are one class.
void split_by_hash(const LabelledRows& all, double eval_share, uint64_t seed, StudyData& data) {
  const std::vector<bool> chosen = split_rows(
      row_texts(all), all.numbers.empty() ? all.labels : std::vector<int>(all.rows.size()), eval_share, seed);
  std::vector<size_t> sides[2];
  for (size_t i = 0; i < chosen.size(); ++i) sides[chosen[i] ? 1 : 0].push_back(i);
  data.train = rows_at(all, sides[0]);
  data.eval = rows_at(all, sides[1]);
}

/// Keeps `most` rows, drawn by the seed, in their order.
void keep(LabelledRows& rows, int64_t most, uint64_t seed) {
  rows = rows_at(rows, draw_rows(row_texts(rows), most, seed));
}

void read_texts(const Plan& plan, const DataFiles& files, StudyData& data) {
  LabelledOptions options;
  options.text_field = plan.text;
  options.text_flag = "`text` in the plan", options.label_flag = "`label` in the plan";
  options.label_field = plan.label;
  options.label_names = plan.labels;
  if (files.train.empty()) {
    data.eval = read_labelled_rows(files.eval, options);
    data.train.label_names = data.eval.label_names;
  } else {
    std::tie(data.train, data.eval) = read_labelled_rows(files.train, files.eval, options);
  }
  const int64_t repaired = data.train.repaired + data.eval.repaired;
  if (repaired > 0)
    data.remarks.push_back(fmt::format("{} rows held invalid UTF-8, which was replaced", repaired));
  for (const LabelledRows* rows : {&data.train, &data.eval}) append(data.remarks, rows->remarks);
}

TableRows read_table(const Plan& plan, const fs::path& file, const std::vector<DataColumn>& columns,
                     const std::vector<std::string>& labels) {
  TableRows table = read_table_rows(file, plan.fields, columns, labels);
  const bool numbers = std::holds_alternative<ScoreTruth>(table.truths.front());
  const bool labelled = plan_task(plan).labelled;
  if (numbers && labelled) {
    fail(
        "{}: what it asks for is a number, and the plan names none; name its column in the plan, as `fields: "
        "{{score: y}}`, or as `fields: {{label: y}}` for classes",
        file.string());
  }
  if (!numbers && !labelled) {
    fail("{}: the `labels` of its meta.json say that `{}` is a class; name it as `fields: {{label: {}}}`",
         file.string(), plan.fields.at("score"), plan.fields.at("score"));
  }
  return table;
}

/// Both files of a table: the first to be read has the columns and labels of both.
void read_tables(const Plan& plan, const DataFiles& files, StudyData& data) {
  std::vector<std::string> labels = plan.labels;
  for (const bool trains : {true, false}) {
    const fs::path& file = trains ? files.train : files.eval;
    if (file.empty()) continue;
    TableRows table = read_table(plan, file, data.columns, labels);
    // The columns that the first file leaves are those of the second.
    if (data.columns.empty()) leave_out(plan.leave_out, table, file.string());
    data.columns = table.columns, labels = table.labels;
    LabelledRows& rows = trains ? data.train : data.eval;
    rows = labelled_rows(std::move(table));
    append(data.remarks, rows.remarks);
  }
  data.train.label_names = data.eval.label_names;
}

/// What nothing could be learnt about is missing.
void forget_unknown_categories(StudyData& data) {
  int64_t count = 0;
  std::string first;
  for (size_t place = 0; place < data.columns.size() && !data.train.rows.empty(); ++place) {
    if (data.columns[place].is_number) continue;
    std::set<TableCell> known{TableCell()};
    for (const Question& row : data.train.rows) known.insert(row.table_row().cells[place]);
    for (Question& row : data.eval.rows) {
      TableCell& cell = std::get<TableRow>(row.content).cells[place];
      if (known.contains(cell)) continue;
      if (count++ == 0)
        first = fmt::format("\"{}\" in {}", std::get<std::string>(cell), data.columns[place].name);
      cell = {};
    }
  }
  if (count > 0) {
    data.remarks.push_back(
        fmt::format("{} of evaluation rows {} no training row has, and {} taken as missing ({}{})",
                    count == 1 ? "1 category" : fmt::format("{} categories", count),
                    count == 1 ? "is one that" : "are ones that", count == 1 ? "is" : "are", first,
                    count == 1 ? "" : " the first"));
  }
}

bool needs_training_rows(const Rung& rung) {
  return learns(rung.kind) || rung.kind == RungKind::kCascade || rung.examples > 0;
}

void check(const Plan& plan, const DataFiles& files, StudyData& data) {
  const std::string file = files.eval.string();
  const size_t n_labels = data.labels().size(), n_rows = data.eval.rows.size() + data.train.rows.size();
  if (data.eval.rows.empty())
    fail("{}: there are no evaluation rows; give more rows or a greater `eval_share`", file);
  const bool labelled = plan_task(plan).labelled;
  const auto named = plan.fields.find("label");
  const std::string label = named != plan.fields.end() ? named->second : plan.label;
  if (labelled && n_labels < 2)
    fail("{}: all rows have one label in `{}`; name the field that tells them apart", file, label);
  if (n_labels > 20 && 2 * n_labels > n_rows) {
    fail("{}: `{}` has {} different values in {} rows, which is no label; name another field", file, label,
         n_labels, n_rows);
  }
  const bool trains = std::ranges::any_of(plan.rungs, needs_training_rows);
  if (trains && data.train.rows.empty()) {
    fail(
        "{}: there are no training rows, and the plan has rungs that learn; set `split: hash` or add a "
        "training file",
        file);
  }
  if (!labelled) return;
  append(data.remarks,
         class_remarks(trains ? data.train.labels : std::vector<int>(), data.eval.labels, data.labels()));
}

std::string hash_of(const StudyData& data) {
  Sha256 hash;
  for (const LabelledRows* rows : {&data.train, &data.eval}) {
    const std::vector<std::string> texts = row_texts(*rows);
    for (size_t i = 0; i < texts.size(); ++i) {
      const std::string truth =
          rows->numbers.empty() ? std::to_string(rows->labels[i]) : fmt::format("{}", rows->numbers[i]);
      hash.add(fmt::format("{} {} {}\n", truth, texts[i].size(), texts[i]));
    }
    hash.add(std::string_view("--\n"));
  }
  for (const std::string& label : data.labels()) hash.add(label + "\n");
  for (const DataColumn& column : data.columns)
    hash.add(fmt::format("{} {}\n", column.is_number ? "number" : "category", column.name));
  return hash.hex();
}

/// Rows of a task whose rungs learn nothing from a study's data: all of the file are evaluation rows, or
/// those of the folder that are for it.
StudyData read_asked(const Plan& plan, const DataFiles& files) {
  TaskRows rows = read_task_rows(files.eval, plan.task, plan.fields);
  StudyData data;
  data.remarks = std::move(rows.remarks);
  data.eval.label_names = std::move(rows.labels);
  std::vector<std::string> texts;
  for (const Question& question : rows.questions) texts.push_back(all_text(question));
  append(data.remarks, repeat_remarks(texts, {}));
  Sha256 hash;
  for (const size_t place : draw_rows(texts, plan.max_eval, plan.seed)) {
    hash.add(
        fmt::format("{} {} {}\n", texts[place].size(), texts[place], truth_json(rows.truths[place]).dump()));
    data.questions.push_back(std::move(rows.questions[place]));
    data.truths.push_back(std::move(rows.truths[place]));
  }
  if (data.questions.empty())
    fail("{}: there are no rows; give a file with at least one", files.eval.string());
  data.sha256 = hash.hex();
  return data;
}

}  // namespace

StudyData read_data(const Plan& plan, const std::function<fs::path(const std::string&)>& resolve) {
  const DataFiles files = files_of(plan, resolve);
  const PlanTask& task = plan_task(plan);
  if (!task.labelled && !task.table) return read_asked(plan, files);
  StudyData data;
  if (task.table) {
    read_tables(plan, files, data);
  } else {
    read_texts(plan, files, data);
  }
  const LabelledRows all = all_rows(data);
  append(data.remarks, repeat_remarks(said_texts(all), all.labels));
  // Where nothing learns, rows for training would be rows that nobody asks.
  const bool trains = std::ranges::any_of(plan.rungs, needs_training_rows);
  if (plan.split == "hash" || (files.train.empty() && trains)) {
    split_by_hash(all, plan.eval_share, plan.seed, data);
  } else {
    append(data.remarks, overlap_remarks(row_texts(data.train), row_texts(data.eval)));
  }
  keep(data.train, plan.max_train, plan.seed);
  keep(data.eval, plan.max_eval, plan.seed);
  forget_unknown_categories(data);
  check(plan, files, data);
  data.sha256 = hash_of(data);
  data.questions = data.eval.rows;
  for (const double number : data.eval.numbers) data.truths.emplace_back(ScoreTruth{number});
  for (const int label : data.eval.labels)
    data.truths.emplace_back(LabelTruth{data.labels()[static_cast<size_t>(label)]});
  return data;
}

std::vector<bool> held_out_rows(const LabelledRows& train, uint64_t seed) {
  constexpr double kShare = 0.2, kGreatestShare = 0.5, kStep = 0.05;
  constexpr int64_t kEnough = 50;
  constexpr size_t kManyRows = 250;
  const std::vector<std::string> texts = train.texts();
  std::vector<bool> held_out = split_rows(texts, train.labels, kShare, seed);
  // Shares of labels with few rows round down.
  for (double share = kShare + kStep;
       texts.size() >= kManyRows && std::ranges::count(held_out, true) < kEnough && share <= kGreatestShare;
       share += kStep) {
    held_out = split_rows(texts, train.labels, share, seed);
  }
  return held_out;
}

std::vector<std::vector<int64_t>> deal_rows(const std::vector<Question>& rows, int rounds) {
  std::vector<int64_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return size_of(rows[a]) < size_of(rows[b]); });
  std::vector<std::vector<int64_t>> parts(std::min<size_t>(static_cast<size_t>(rounds), rows.size()));
  // To and fro, so that no part always gets the longer of two neighbours.
  for (size_t i = 0; i < order.size(); ++i) {
    const size_t lap = i / parts.size(), place = i % parts.size();
    parts[lap % 2 == 0 ? place : parts.size() - 1 - place].push_back(order[i]);
  }
  for (auto& part : parts) std::sort(part.begin(), part.end());
  return parts;
}

}  // namespace wattle::inline study
