#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "tasks/question.h"
#include "tasks/rows.h"

namespace wattle::inline data {

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
  std::vector<Question> rows;  ///< texts, or rows of a table
  std::vector<int> labels;     ///< index into label_names, one a row
  std::vector<std::string> label_names;
  int64_t repaired = 0;
  /// What a reader of the figures should know: rows without a text or label, rows that cannot be read, labels
  /// that were taken for one, how an untidy file was read.
  std::vector<std::string> remarks = {};

  std::vector<double> numbers = {};  ///< of a table that is asked for numbers: one a row, and no labels

  std::vector<std::string> texts() const;
};

/// Reads a labelled data set: the label is a name (LabelNames says which spellings are one) or an index into
/// the label names (number). A row that cannot be read, or whose text or label is blank, is left out with a
/// remark. Throws Error where more rows are left out than read, no row is left, and for a label that is not
/// among the names.
LabelledRows read_labelled_rows(const std::filesystem::path& path, const LabelledOptions& options = {});

/// Two files with one list of label names, as training and evaluation rows.
std::pair<LabelledRows, LabelledRows> read_labelled_rows(const std::filesystem::path& first,
                                                         const std::filesystem::path& second,
                                                         const LabelledOptions& options = {});

/// A label as JSON has it: its name, or the digits of a number; empty where there is none (null, blank).
/// Throws Error beginning with `place` for a list or an object.
std::string label_text(const nlohmann::ordered_json& label, const std::string& place);

}  // namespace wattle::inline data
