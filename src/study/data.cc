#include "study/data.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include <wattle/error.h>

#include "base/sha256.h"
#include "data/files.h"
#include "data/split.h"
#include "data/task_rows.h"
#include "study/plan_task.h"
#include "study/rung_yaml.h"
#include "study/scoring.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

void append(std::vector<std::string>& remarks, const std::vector<std::string>& more) {
  remarks.insert(remarks.end(), more.begin(), more.end());
}

DataFiles files_of(const Plan& plan, const std::function<fs::path(const std::string&)>& resolve) {
  if (plan.data.empty()) return {resolve(plan.train_data), resolve(plan.eval_data)};
  return find_data_files(resolve(plan.data));
}

/// All rows as one set, those for training first.
LabelledRows all_rows(const StudyData& data) {
  LabelledRows all = data.train;
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
    some.labels.push_back(rows.labels[place]);
  }
  return some;
}

/// Splits by label, so that both sides have the labels in like shares, in the order of the rows.
void split_by_hash(StudyData& data, double eval_share, uint64_t seed) {
  const LabelledRows all = all_rows(data);
  const std::vector<bool> chosen = split_rows(all.texts(), all.labels, eval_share, seed);
  std::vector<size_t> sides[2];
  for (size_t i = 0; i < chosen.size(); ++i) sides[chosen[i] ? 1 : 0].push_back(i);
  data.train = rows_at(all, sides[0]);
  data.eval = rows_at(all, sides[1]);
}

/// Keeps `most` rows, drawn by the seed, in their order.
void keep(LabelledRows& rows, int64_t most, uint64_t seed) {
  rows = rows_at(rows, draw_rows(rows.texts(), most, seed));
}

void read_both(const DataFiles& files, const LabelledOptions& options, StudyData& data) {
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

bool needs_training_rows(const Rung& rung) {
  return learns(rung.kind) || rung.kind == RungKind::kCascade || rung.examples > 0;
}

void check(const Plan& plan, const DataFiles& files, StudyData& data) {
  const std::string file = files.eval.string();
  const size_t n_labels = data.labels().size(), n_rows = data.eval.rows.size() + data.train.rows.size();
  if (data.eval.rows.empty())
    fail("{}: there are no evaluation rows; give more rows or a greater `eval_share`", file);
  if (n_labels < 2)
    fail("{}: all rows have one label in `{}`; name the field that tells them apart", file, plan.label);
  if (n_labels > 20 && 2 * n_labels > n_rows) {
    fail("{}: `{}` has {} different values in {} rows, which is no label; name another field", file,
         plan.label, n_labels, n_rows);
  }
  const bool trains = std::ranges::any_of(plan.rungs, needs_training_rows);
  if (trains && data.train.rows.empty()) {
    fail(
        "{}: there are no training rows, and the plan has rungs that learn; set `split: hash` or add a "
        "training file",
        file);
  }
  append(data.remarks,
         class_remarks(trains ? data.train.labels : std::vector<int>(), data.eval.labels, data.labels()));
}

}  // namespace

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

StudyData read_data(const Plan& plan, const std::function<fs::path(const std::string&)>& resolve) {
  const DataFiles files = files_of(plan, resolve);
  if (!plan_task(plan.task).labelled) return read_asked(plan, files);
  LabelledOptions options;
  options.text_field = plan.text;
  options.text_flag = "`text` in the plan", options.label_flag = "`label` in the plan";
  options.label_field = plan.label;
  options.label_names = plan.labels;
  StudyData data;
  read_both(files, options, data);
  const LabelledRows all = all_rows(data);
  append(data.remarks, repeat_remarks(all.texts(), all.labels));
  // Where nothing learns, rows for training would be rows that nobody asks.
  const bool trains = std::ranges::any_of(plan.rungs, needs_training_rows);
  if (plan.split == "hash" || (files.train.empty() && trains)) {
    split_by_hash(data, plan.eval_share, plan.seed);
  } else {
    append(data.remarks, overlap_remarks(data.train.texts(), data.eval.texts()));
  }
  keep(data.train, plan.max_train, plan.seed);
  keep(data.eval, plan.max_eval, plan.seed);
  check(plan, files, data);
  Sha256 hash;
  for (const LabelledRows* rows : {&data.train, &data.eval}) {
    for (size_t i = 0; i < rows->rows.size(); ++i) {
      hash.add(fmt::format("{} {} {}\n", rows->labels[i], rows->rows[i].text().size(), rows->rows[i].text()));
    }
    hash.add(std::string_view("--\n"));
  }
  for (const std::string& label : data.labels()) hash.add(label + "\n");
  data.sha256 = hash.hex();
  data.questions = data.eval.rows;
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

}  // namespace wattle
