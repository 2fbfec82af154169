#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "tasks/question.h"

namespace wattle {

enum class RowFormat {
  kByName,  ///< by the file's name; standard input is JSON Lines when it begins with '{', else plain lines
  kJsonl,   ///< JSON Lines: one object a line
  kCsv,     ///< RFC 4180 with a header line; quoted fields may hold commas and line ends
  kTsv,     ///< as csv with tabs; a quote that is not closed before the next tab is an ordinary character
  kLines,   ///< one text a line
  kWhole,   ///< the whole file is one text
};

struct RowOptions {
  std::string field = "text";
  std::string pair_field = "text_pair";  ///< of a second text, where rows have one
  RowFormat format = RowFormat::kByName;
  std::vector<std::string> columns = {};  ///< none: texts; else rows of a table, whose other fields are left
};

struct Rows {
  std::vector<Question> rows;
  int64_t repaired = 0;  ///< rows that held invalid UTF-8, which became U+FFFD
  std::string sha256;    ///< of the input's bytes, unpacked
};

/// Reads a file of rows; `path` may be "-" for standard input, and any file may be gzipped. A byte order mark
/// and CRLF line ends are accepted, blank lines skipped. Throws Error naming the file and the row (and the
/// fields there are) for a missing field, a text that is not a string, a line that is not JSON, an open
/// quote, a row of the wrong width. What a row may hold is said at question_from_json().
Rows read_rows(const std::filesystem::path& path, const RowOptions& options = {});

/// All texts, one after another without a separator, as one row: what perplexity is measured on.
/// Rows that hold something else than a text stay as they are.
std::vector<Question> joined(std::vector<Question> rows);

struct LabelledOptions {
  std::string text_field = "text";
  std::string label_field = "label";
  /// The labels in the order of their indices. Empty: `labels` of meta.json beside the file where there is
  /// one, else the distinct labels of the file in sorted order.
  std::vector<std::string> label_names = {};
  RowFormat format = RowFormat::kByName;
  std::string text_flag = "--field",
              label_flag = "--label";  ///< what chooses the fields, for error sentences
};

struct LabelledRows {
  std::vector<Question> rows;  ///< texts
  std::vector<int> labels;     ///< index into label_names, one a row
  std::vector<std::string> label_names;
  int64_t repaired = 0;

  std::vector<std::string> texts() const;
};

/// Reads a labelled data set: the label is a name (string) or an index into the label names (number). Throws
/// Error as read_rows does, and for a label that is not among the names.
LabelledRows read_labelled_rows(const std::filesystem::path& path, const LabelledOptions& options = {});

struct TableOptions {
  std::string label_field = "label";
  std::vector<std::string> label_names = {};  ///< as in LabelledOptions
  std::vector<std::string> columns = {};      ///< none: every field but the label, `id` and `leave_out`
  std::vector<std::string> leave_out = {};
  bool numbers = false;  ///< the labels are numbers to be foretold
};

struct LabelledTable {
  std::vector<std::string> columns;
  std::vector<Question> rows;  ///< rows of a table
  std::vector<int> labels;     ///< index into label_names, one a row; none of numbers
  std::vector<std::string> label_names;
  std::vector<float> numbers;
  int64_t repaired = 0;
};

/// Reads the labelled rows of a table: a field a column, or all cells in a list `x` with their names in
/// `columns` of meta.json beside the file. Throws Error as read_labelled_rows does.
LabelledTable read_labelled_table(const std::filesystem::path& path, const TableOptions& options = {});

/// Whether a labelled file is a table: its first row has no field `text_field`, but the label and others.
bool is_table(const std::filesystem::path& path, const std::string& text_field,
              const std::string& label_field);

}  // namespace wattle
