#include "data/labelled_table.h"

#include <algorithm>

#include <wattle/error.h>

#include "tasks/file_text.h"
#include "tasks/raw_rows.h"

namespace wattle {
namespace {

void leave_out(const std::string& name, TableRows& table, const std::string& origin) {
  const auto column = std::ranges::find(table.columns, name, &DataColumn::name);
  if (column == table.columns.end()) fail("{}: has no column '{}' to leave out", origin, name);
  const auto place = column - table.columns.begin();
  table.columns.erase(column);
  for (std::vector<TableValue>& row : table.rows) row.erase(row.begin() + place);
}

}  // namespace

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
  if (options.columns.empty()) {
    for (const std::string& name : options.leave_out) leave_out(name, table, origin);
    if (table.columns.empty()) fail("{}: has no column but the label; give a table with others", origin);
  }
  LabelledTable data{
      .columns = std::move(table.columns), .label_names = table.labels, .remarks = std::move(table.remarks)};
  for (size_t i = 0; i < table.rows.size(); ++i) {
    data.rows.push_back({table.ids[i], TableRow{std::move(table.rows[i])}});
    if (options.numbers) {
      data.numbers.push_back(static_cast<float>(std::get<ScoreTruth>(table.truths[i]).score));
    } else {
      const std::string& label = std::get<LabelTruth>(table.truths[i]).label;
      data.labels.push_back(
          static_cast<int>(std::ranges::find(data.label_names, label) - data.label_names.begin()));
    }
  }
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
