#include "tasks/rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
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

/// The labels as indices into `names`, which are found where there are none.
std::vector<int> label_indices(const std::filesystem::path& path, const RawRows& raw,
                               const std::vector<std::string>& labels, std::vector<std::string>& names) {
  if (names.empty()) names = names_of_meta(path);
  if (names.empty()) names = distinct_sorted(labels);
  std::map<std::string, int> index;
  for (size_t i = 0; i < names.size(); ++i) index.emplace(std::to_string(i), static_cast<int>(i));
  // Names win over indices: a set whose labels are called "1", "2" means them.
  for (size_t i = 0; i < names.size(); ++i) index[names[i]] = static_cast<int>(i);
  std::vector<int> indices;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto found = index.find(labels[i]);
    if (found == index.end()) {
      fail(
          "{}: label '{}' is none of the {} known labels ({}); name the label field with --label or mend the "
          "row",
          raw.rows[i].place, labels[i], names.size(), fmt::join(names, ", "));
    }
    indices.push_back(found->second);
  }
  return indices;
}

float label_number(RawRow& raw, const std::string& field) {
  const auto& label = need_field(raw.fields, field, "--label", raw.place);
  double value = std::numeric_limits<double>::quiet_NaN();
  if (label.is_number()) {
    value = label.get<double>();
  } else if (label.is_string()) {
    const auto& text = label.get_ref<const std::string&>();
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (read.ptr != text.data() + text.size()) value = std::numeric_limits<double>::quiet_NaN();
  }
  if (!std::isfinite(static_cast<float>(value)))
    fail(
        "{}: label field '{}' holds {}, which is no number; mend the row or choose another field with "
        "--label",
        raw.place, field, label.dump());
  return static_cast<float>(value);
}

/// The fields of the first row that are columns of a table.
std::vector<std::string> columns_of(const RawRows& raw, const TableOptions& options) {
  const auto& fields = raw.rows.front().fields;
  for (const std::string& name : options.leave_out) {
    if (!fields.contains(name)) fail("{}: has no column '{}' to leave out", raw.rows.front().place, name);
  }
  std::vector<std::string> columns;
  for (const auto& item : fields.items()) {
    if (item.key() == options.label_field || item.key() == "id") continue;
    if (std::ranges::find(options.leave_out, item.key()) == options.leave_out.end())
      columns.push_back(item.key());
  }
  if (columns.empty())
    fail("{}: has no column but the label; give a table with others", raw.rows.front().place);
  return columns;
}

}  // namespace

Rows read_rows(const std::filesystem::path& path, const RowOptions& options) {
  RawRows raw = read_raw_rows(path, options.format, options.field);
  Rows rows{{}, raw.repaired, raw.sha256};
  rows.rows.reserve(raw.rows.size());
  if (!options.columns.empty()) {
    name_cells(path, options.columns, raw);
    for (const RawRow& row : raw.rows)
      rows.rows.push_back(table_question(row.fields, options.columns, rows.rows.size(), row.place));
    return rows;
  }
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
  data.labels = label_indices(path, raw, labels, data.label_names);
  return data;
}

LabelledTable read_labelled_table(const std::filesystem::path& path, const TableOptions& options) {
  RawRows raw = read_raw_rows(path, RowFormat::kByName, "text");
  name_cells(path, options.columns, raw);
  LabelledTable data{
      .columns = options.columns, .label_names = options.label_names, .repaired = raw.repaired};
  if (data.columns.empty()) data.columns = columns_of(raw, options);
  std::vector<std::string> labels;
  for (RawRow& row : raw.rows) {
    if (options.numbers) {
      data.numbers.push_back(label_number(row, options.label_field));
    } else {
      labels.push_back(label_text(row, options.label_field, "--label"));
    }
    data.rows.push_back(table_question(row.fields, data.columns, data.rows.size(), row.place));
  }
  if (!options.numbers) data.labels = label_indices(path, raw, labels, data.label_names);
  return data;
}

bool is_table(const std::filesystem::path& path, const std::string& text_field,
              const std::string& label_field) {
  if (path == "-") return false;
  const RawRows raw = read_raw_rows(path, RowFormat::kByName, "text");
  const auto& fields = raw.rows.front().fields;
  if (fields.contains(text_field) || !fields.contains(label_field)) return false;
  return (fields.contains("x") && fields["x"].is_array()) || fields.size() > 2;
}

}  // namespace wattle
