#include "study/data.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include <wattle/error.h>

#include "base/sha256.h"
#include "study/rung_yaml.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

struct Files {
  fs::path train, eval;  ///< one of them empty: all rows are in the other
};

fs::path file_of(const fs::path& folder, const std::string& stem) {
  for (const char* ending : {".jsonl", ".jsonl.gz", ".csv", ".tsv"}) {
    if (const fs::path path = folder / (stem + ending); fs::exists(path)) return path;
  }
  return {};
}

Files find_files(const Plan& plan, const std::function<fs::path(const std::string&)>& resolve) {
  if (plan.data.empty()) return {resolve(plan.train_data), resolve(plan.eval_data)};
  const fs::path path = resolve(plan.data);
  if (!fs::is_directory(path)) return {{}, path};
  const Files files{file_of(path, "train"), file_of(path, "eval")};
  if (files.eval.empty()) {
    fail("{}: there is no eval.jsonl, eval.csv or eval.tsv in the folder; name the file of rows itself",
         path.string());
  }
  return files;
}

void append(LabelledRows& rows, const Question& row, int label) {
  rows.rows.push_back(row);
  rows.labels.push_back(label);
}

/// One list of names for both files: that of meta.json when it gives one, else the union in sorted order.
void read_both(const Files& files, const LabelledOptions& options, StudyData& data) {
  data.eval = read_labelled_rows(files.eval, options);
  if (files.train.empty()) {
    data.train.label_names = data.eval.label_names;
    return;
  }
  data.train = read_labelled_rows(files.train, options);
  if (data.train.label_names == data.eval.label_names) return;
  std::set<std::string> names(data.train.label_names.begin(), data.train.label_names.end());
  names.insert(data.eval.label_names.begin(), data.eval.label_names.end());
  LabelledOptions shared = options;
  shared.label_names.assign(names.begin(), names.end());
  data.eval = read_labelled_rows(files.eval, shared);
  data.train = read_labelled_rows(files.train, shared);
}

/// Where a text stands in a draw. The seed salts it: rows that were once chosen by the hash of their text are
/// as mixed as any others under another seed and another purpose.
std::string place_of(uint64_t seed, std::string_view purpose, const Question& row) {
  return sha256_hex(fmt::format("{} {} {}", purpose, seed, row.text()));
}

/// Rows with one text, which stay together: none is ever on both sides.
struct Same {
  std::string place;
  std::vector<std::pair<const LabelledRows*, size_t>> rows;
};

/// The texts of each label (of its first row), in the order of the draw.
std::vector<std::vector<Same>> texts_by_label(const StudyData& data, uint64_t seed) {
  std::map<std::string, std::pair<int, Same>> texts;
  for (const LabelledRows* rows : {&data.train, &data.eval}) {
    for (size_t i = 0; i < rows->rows.size(); ++i) {
      auto& [label, same] = texts[place_of(seed, "split", rows->rows[i])];
      if (same.rows.empty()) label = rows->labels[i];
      same.rows.emplace_back(rows, i);
    }
  }
  std::vector<std::vector<Same>> by_label(data.labels().size());
  for (auto& [place, entry] : texts) {
    entry.second.place = place;
    by_label[static_cast<size_t>(entry.first)].push_back(std::move(entry.second));
  }
  return by_label;
}

/// How many of a label's texts are for evaluation: its share, but one at least on each side where there are
/// two. A label with one text is there to be learnt.
size_t texts_for_evaluation(const std::vector<Same>& texts, double eval_share) {
  if (texts.size() < 2) return 0;
  const auto share = static_cast<size_t>(std::lround(eval_share * static_cast<double>(texts.size())));
  return std::clamp<size_t>(share, 1, texts.size() - 1);
}

/// Splits by label, so that both sides have the labels in like shares, in the order of the rows.
void split_by_hash(StudyData& data, double eval_share, uint64_t seed) {
  std::vector<std::vector<Same>> by_label = texts_by_label(data, seed);
  std::set<std::pair<const LabelledRows*, size_t>> chosen;
  for (const std::vector<Same>& texts : by_label) {
    const size_t n = texts_for_evaluation(texts, eval_share);
    for (size_t i = 0; i < n; ++i) chosen.insert(texts[i].rows.begin(), texts[i].rows.end());
  }
  if (chosen.empty() && by_label.size() > 1) {
    // Every label has one text: the first of the draw, whichever it is.
    const Same* first = nullptr;
    for (const std::vector<Same>& texts : by_label) {
      if (!texts.empty() && (first == nullptr || texts[0].place < first->place)) first = &texts[0];
    }
    if (first != nullptr) chosen.insert(first->rows.begin(), first->rows.end());
  }
  LabelledRows train, eval;
  train.label_names = eval.label_names = data.eval.label_names;
  for (const LabelledRows* rows : {&data.train, &data.eval}) {
    for (size_t i = 0; i < rows->rows.size(); ++i)
      append(chosen.count({rows, i}) > 0 ? eval : train, rows->rows[i], rows->labels[i]);
  }
  eval.repaired = data.train.repaired + data.eval.repaired;
  data.train = std::move(train);
  data.eval = std::move(eval);
}

/// Keeps `most` rows, drawn by the seed, in their order.
void keep(LabelledRows& rows, int64_t most, uint64_t seed) {
  const auto n = static_cast<int64_t>(rows.rows.size());
  if (most == 0 || n <= most) return;
  std::vector<std::pair<std::string, int64_t>> order;
  for (int64_t i = 0; i < n; ++i) order.emplace_back(place_of(seed, "keep", rows.rows[i]), i);
  std::sort(order.begin(), order.end());
  order.resize(static_cast<size_t>(most));
  std::sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  LabelledRows kept;
  kept.label_names = rows.label_names;
  kept.repaired = rows.repaired;
  for (const auto& [hash, i] : order) append(kept, rows.rows[i], rows.labels[i]);
  rows = std::move(kept);
}

void check(const Plan& plan, const Files& files, StudyData& data) {
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
  const bool trains = std::any_of(plan.rungs.begin(), plan.rungs.end(), [](const Rung& rung) {
    return learns(rung.kind) || rung.kind == RungKind::kCascade || rung.examples > 0;
  });
  if (trains && data.train.rows.empty()) {
    fail(
        "{}: there are no training rows, and the plan has rungs that learn; set `split: hash` or add a "
        "training file",
        file);
  }
  const std::set<int> trained(data.train.labels.begin(), data.train.labels.end());
  for (size_t label = 0; trains && label < n_labels; ++label) {
    if (trained.count(static_cast<int>(label)) == 0) {
      data.remarks.push_back(fmt::format("no training row has the label \"{}\"", data.labels()[label]));
    }
  }
  const std::set<int> asked(data.eval.labels.begin(), data.eval.labels.end());
  for (size_t label = 0; label < n_labels; ++label) {
    if (asked.count(static_cast<int>(label)) == 0) {
      data.remarks.push_back(fmt::format("no evaluation row has the label \"{}\"; its quality is not known",
                                         data.labels()[label]));
    }
  }
  if (const int64_t repaired = data.train.repaired + data.eval.repaired; repaired > 0) {
    data.remarks.push_back(fmt::format("{} rows held invalid UTF-8, which was replaced", repaired));
  }
}

}  // namespace

StudyData read_data(const Plan& plan, const std::function<fs::path(const std::string&)>& resolve) {
  const Files files = find_files(plan, resolve);
  LabelledOptions options;
  options.text_field = plan.text;
  options.text_flag = "`text` in the plan", options.label_flag = "`label` in the plan";
  options.label_field = plan.label;
  options.label_names = plan.labels;
  StudyData data;
  read_both(files, options, data);
  if (plan.split == "hash" || files.train.empty()) split_by_hash(data, plan.eval_share, plan.seed);
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
