#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/labelled_rows.h"
#include "data/table_rows.h"
#include "tasks/question.h"

namespace wattle::inline data {

struct TableOptions {
  std::string label_field = "label";
  std::vector<std::string> label_names = {};  ///< as in LabelledOptions
  std::vector<DataColumn> columns = {};       ///< none: every field but the label, `id` and `leave_out`
  std::vector<std::string> leave_out = {};
  bool numbers = false;  ///< the labels are numbers to be foretold
};

/// A table as training reads it.
struct LabelledTable : LabelledRows {
  std::vector<DataColumn> columns;

  std::vector<std::string> column_names() const;
};

/// Rows of a table with the places of their labels, or with their numbers, and all remarks.
LabelledRows labelled_rows(TableRows table);

/// Takes columns out of a table. Throws Error for one that is not there, and where none is left.
void leave_out(const std::vector<std::string>& names, TableRows& table, const std::string& origin);

/// Reads the labelled rows of a table as read_table_rows() does. Throws Error for a column to leave out that
/// is not there.
LabelledTable read_labelled_table(const std::filesystem::path& path, const TableOptions& options = {});

/// Whether a labelled file is a table: its first row has no field `text_field`, but the label and others.
bool is_table(const std::filesystem::path& path, const std::string& text_field,
              const std::string& label_field);

}  // namespace wattle::inline data
