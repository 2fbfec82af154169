#include "data/labelled_table.h"

#include <algorithm>

#include <wattle/error.h>

#include "tasks/file_text.h"
#include "tasks/raw_rows.h"

namespace wattle::inline data {

void leave_out(const std::vector<std::string>& names, TableRows& table, const std::string& origin) {
  for (const std::string& name : names) {
    const auto column = std::ranges::find(table.columns, name, &DataColumn::name);
    if (column == table.columns.end()) fail("{}: has no column '{}' to leave out", origin, name);
    const auto place = column - table.columns.begin();
    table.columns.erase(column);
    for (std::vector<TableValue>& row : table.rows) row.erase(row.begin() + place);
  }
  if (table.columns.empty()) fail("{}: has no column but the label; give a table with others", origin);
}

std::vector<std::string> LabelledTable::column_names() const {
  std::vector<std::string> names;
  for (const DataColumn& column : columns) names.push_back(column.name);
  return names;
}

LabelledTable read_labelled_table(const std::filesystem::path& path, const TableOptions& options) {
  const std::string origin = origin_of(path);
  TableRows table = read_table_rows(path, {{options.numbers ? "score" : "label", options.label_field}},
                                    options.columns, options.label_names);
  // With given columns those that were left out are not among them.
  if (options.columns.empty()) leave_out(options.leave_out, table, origin);
  if (options.numbers && !table.labels.empty()) {
    fail(
        "{}: the `labels` of its meta.json say that '{}' is a class, and numbers are asked for; ask for "
        "classes",
        origin, options.label_field);
  }
  std::vector<DataColumn> columns = std::move(table.columns);
  return {labelled_rows(std::move(table)), std::move(columns)};
}

LabelledRows labelled_rows(TableRows table) {
  LabelledRows rows;
  rows.label_names = std::move(table.labels);
  rows.remarks = std::move(table.remarks);
  for (size_t i = 0; i < table.rows.size(); ++i) {
    rows.rows.push_back({table.ids[i], TableRow{std::move(table.rows[i])}});
    if (const auto* number = std::get_if<ScoreTruth>(&table.truths[i])) {
      rows.numbers.push_back(number->score);
      continue;
    }
    const auto found = std::ranges::find(rows.label_names, std::get<LabelTruth>(table.truths[i]).label);
    rows.labels.push_back(static_cast<int>(found - rows.label_names.begin()));
  }
  return rows;
}

bool is_table(const std::filesystem::path& path, const std::string& text_field,
              const std::string& label_field) {
  if (path == "-") return false;
  const RawRows raw = read_raw_rows(path, RowFormat::kByName, "text");
  const auto& fields = raw.rows.front().fields;
  if (fields.contains(text_field) || !fields.contains(label_field)) return false;
  return (fields.contains("x") && fields["x"].is_array()) || fields.size() > 2;
}

}  // namespace wattle::inline data
