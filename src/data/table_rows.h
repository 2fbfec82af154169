#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/task_rows.h"
#include "metrics/truth.h"
#include "tasks/question.h"

namespace wattle::inline data {

struct DataColumn {
  std::string name;
  bool is_number = false;  ///< else its values are names of categories

  bool operator==(const DataColumn&) const = default;
};

/// Missing, a number, or the name of a category.
using TableValue = TableCell;

/// Rows of columns, with what is to be told from them.
struct TableRows {
  std::vector<DataColumn> columns;
  std::vector<std::vector<TableValue>> rows;  ///< one value a column
  std::vector<std::string> ids;               ///< as Question::id
  std::vector<Truth> truths;                  ///< all LabelTruth, or all ScoreTruth
  std::vector<std::string> labels;            ///< classes; none where the truths are numbers
  std::vector<std::string> remarks;           ///< as those of TaskRows
  std::string sha256;
};

/// Reads a table: CSV or TSV with a header, or JSON Lines of objects; or JSON Lines with a list of values
/// `x`, whose names and kinds are those of `columns` in meta.json beside the file ([{name, type: "number" or
/// another}]). Columns called id, index or not at all are left out.
///
/// A column is of numbers where all its values are some (with a decimal comma too, where a semicolon parts
/// columns), else of categories. Missing are null, blanks, ? and what pandas writes (NA, NaN, None, null).
/// `fields` names what is to be told: {"label": "quality"} a class, {"score": "price"} a number. Where it
/// names none, the column called label, class, target or y is taken, as numbers when one of them is no whole
/// number or there are more than 20.
///
/// `columns` are those of another file of the set, which must be there and of the same kind; none: all there
/// are. Errors are those of read_task_rows(), and a column of another file that is not here.
TableRows read_table_rows(const std::filesystem::path& path, const TaskFields& fields = {},
                          const std::vector<DataColumn>& columns = {},
                          const std::vector<std::string>& labels = {});

}  // namespace wattle::inline data
