#include "tasks/rows.h"

#include <algorithm>
#include <map>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "tasks/json.h"
#include "tasks/raw_rows.h"

namespace wattle {
namespace {

/// A label as the file has it: its name, or the decimal digits of a number.
std::string label_text(RawRow& raw, const std::string& field, std::string_view flag) {
  const auto& label = need_field(raw.fields, field, flag, raw.place);
  if (label.is_string()) return label.get<std::string>();
  if (label.is_number_integer() || label.is_boolean()) return label.dump();
  fail("{}: label field '{}' is neither a text nor a whole number; choose another with {}", raw.place, field,
       flag);
}

}  // namespace

Rows read_rows(const std::filesystem::path& path, const RowOptions& options) {
  RawRows raw = read_raw_rows(path, options.format, options.field);
  Rows rows{{}, raw.repaired, raw.sha256};
  rows.rows.reserve(raw.rows.size());
  const QuestionFields fields{.text = options.field, .pair = options.pair_field};
  for (RawRow& row : raw.rows) {
    rows.rows.push_back(question_from_json(row.fields, fields, rows.rows.size(), row.place));
  }
  return rows;
}

std::vector<Question> joined(std::vector<Question> rows) {
  const auto is_text = [](const Question& row) { return std::holds_alternative<std::string>(row.content); };
  if (rows.size() == 1 || !std::ranges::all_of(rows, is_text)) return rows;
  std::string all;
  for (const Question& row : rows) all += row.text();
  return {{.content = std::move(all)}};
}

std::vector<std::string> LabelledRows::texts() const {
  std::vector<std::string> texts;
  texts.reserve(rows.size());
  for (const Question& row : rows) texts.push_back(row.text());
  return texts;
}

LabelledRows read_labelled_rows(const std::filesystem::path& path, const LabelledOptions& options) {
  RawRows raw = read_raw_rows(path, options.format, options.text_field);
  LabelledRows data;
  data.repaired = raw.repaired;
  std::vector<std::string> labels;
  const QuestionFields fields{.text = options.text_field, .pair = {}, .text_flag = options.text_flag};
  for (RawRow& row : raw.rows) {
    labels.push_back(label_text(row, options.label_field, options.label_flag));
    data.rows.push_back(question_from_json(row.fields, fields, data.rows.size(), row.place));
    if (!std::holds_alternative<std::string>(data.rows.back().content)) {
      need_field(row.fields, options.text_field, options.text_flag, row.place);
    }
  }
  data.label_names = options.label_names;
  if (data.label_names.empty()) data.label_names = names_of_meta(path);
  if (data.label_names.empty()) data.label_names = distinct_sorted(labels);

  std::map<std::string, int> index;
  for (size_t i = 0; i < data.label_names.size(); ++i) index.emplace(std::to_string(i), static_cast<int>(i));
  // Names win over indices: a set whose labels are called "1", "2" means them.
  for (size_t i = 0; i < data.label_names.size(); ++i) index[data.label_names[i]] = static_cast<int>(i);
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto found = index.find(labels[i]);
    if (found == index.end()) {
      fail(
          "{}: label '{}' is none of the {} known labels ({}); name the label field with --label or mend the "
          "row",
          raw.rows[i].place, labels[i], data.label_names.size(), fmt::join(data.label_names, ", "));
    }
    data.labels.push_back(found->second);
  }
  return data;
}

}  // namespace wattle
