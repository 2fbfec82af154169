#include "tasks/rows.h"

#include <algorithm>
#include <utility>

#include "tasks/json.h"
#include "tasks/raw_rows.h"

namespace wattle::inline tasks {

Rows read_rows(const std::filesystem::path& path, const RowOptions& options) {
  RawRows raw = read_raw_rows(path, options.format, options.field);
  Rows rows{{}, raw.repaired, raw.sha256, std::move(raw.notes)};
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

}  // namespace wattle::inline tasks
