#pragma once

#include <filesystem>
#include <string>

#include "data/task_rows.h"

namespace wattle::inline data {

/// What the columns of a file are for.
struct TaskGuess {
  std::string task;   ///< of data_tasks(), or "table"
  TaskFields fields;  ///< columns by the task's names for them, where these are not their own
  std::string why;    ///< "the columns question, context and answers"
};

/// The task that the columns of a file (or of a folder's evaluation rows) leave no doubt about. `named` are
/// columns that somebody gave as "text" or "label".
///
/// Columns that only one task has decide: choices, summaries, tags, contexts of questions, two sentences with
/// a score. Else a text with a label is `classify`, and a label (or what `named` calls so) beside columns
/// none of which is a text is `table`, asked for a number where the column holds more than 20 different ones
/// or one that is not whole. Error naming the columns where there is doubt.
TaskGuess guess_task(const std::filesystem::path& path, const TaskFields& named = {});

/// The column of a table that is to be told, as {"label": COLUMN} or, of numbers as above, {"score": COLUMN}.
TaskFields table_fields(const std::filesystem::path& path, const std::string& column);

}  // namespace wattle::inline data
