#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "data/task_rows.h"
#include "metrics/truth.h"
#include "tasks/raw_rows.h"

namespace wattle::inline data {

/// Error for a part that the task has not.
void check_parts(const DataTask& task, const TaskFields& named);

/// Which fields of a file are the parts of a task's rows.
class PartFields {
 public:
  /// Error for a part that the task has not, for a named field that no row has, and for a needed part whose
  /// usual names half of the rows have none of.
  PartFields(const DataTask& task, const TaskFields& named, const std::vector<RawRow>& rows,
             const std::string& origin);

  /// The field of a part; nothing where the part is not needed and not there.
  std::optional<std::string> field(std::string_view part) const;
  /// Which fields were taken for parts of other names; empty where none was.
  std::string remark() const;

 private:
  std::map<std::string, std::string, std::less<>> fields_;
  std::string remark_;
};

/// The parts of one row, read with checked types. Every Error begins with the row's place.
class RowParts {
 public:
  RowParts(const RawRow& row, const PartFields& fields) : row_(row), fields_(fields) {}

  const std::string& place() const { return row_.place; }
  const RawRow& row() const { return row_; }
  /// Null where the row has no such part, or a null.
  const nlohmann::ordered_json* find(std::string_view part) const;
  /// Error where there is none.
  const nlohmann::ordered_json& need(std::string_view part) const;
  /// A text that is not blank.
  std::string text(std::string_view part) const;
  /// One text or several, each once: a text or number, a list of these or of objects with a `text`, or an
  /// object whose `text` is a list. None: an empty list, null or no such field.
  std::vector<std::string> texts(std::string_view part) const;
  /// A number, or a text that is one.
  double number(std::string_view part) const;

 private:
  const RawRow& row_;
  const PartFields& fields_;
};

/// The value at "a" or "a.b" of a row; null where there is none.
const nlohmann::ordered_json* value_at(const nlohmann::ordered_json& row, const std::string& field);

/// A number, or a text that is one; nothing for everything else.
std::optional<double> number_of(const nlohmann::ordered_json& value);

/// The question and the truth of one row.
struct AskedRow {
  Question question;
  Truth truth;
};

/// How each task but `tag` and `table` reads a row. Truths of classes are as the row has them.
AskedRow read_asked_row(std::string_view task, const RowParts& parts);

/// Error for rows of the task `choose` whose numbers of the right choice count from 1.
void check_choices(const std::vector<RawRow>& rows, const PartFields& fields);

/// Articles as SQuAD has them, [{title, paragraphs: [{context, qas: [{question, answers}]}]}], as a row a
/// question. Other rows stay as they are.
std::vector<RawRow> questions_of_articles(std::vector<RawRow> rows);

}  // namespace wattle::inline data
