#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "metrics/truth.h"
#include "tasks/question.h"

namespace wattle::inline data {

/// What a study asks of the rows of a file, and what is right.
struct TaskRows {
  std::vector<Question> questions;
  std::vector<Truth> truths;         ///< one a question
  std::vector<std::string> labels;   ///< classes or tags, where the truths are of some; else none
  std::vector<std::string> remarks;  ///< which fields were taken, which rows left out, how a file was read
  std::string sha256;                ///< of the file's bytes, unpacked
};

/// The fields of a file by the names of what they are to a task: {"text": "dialogue", "reference":
/// "summary"}. "a.b" is the field b of an object a. What is not named is looked for under its usual names.
using TaskFields = std::map<std::string, std::string>;

struct TaskPart {
  std::string_view name;
  std::vector<std::string_view> usual;  ///< names of fields, the likeliest first
  bool needed = true;
};

/// A task of a study, with the parts of its rows. [] is a list.
///
/// | task | question | truth |
/// |---|---|---|
/// | classify | `text` and perhaps `pair` | `label`: LabelTruth, spellings merged as LabelNames says |
/// | tag | `text`: words[] or a text | `tags`: tags[] or spans[], as read_tagged_rows() says: SpansTruth |
/// | answer | `question` and `context` | `answers`: TextsTruth, without texts where there is no answer |
/// | fill | `text` with one [MASK] or <mask> | `target`: TextsTruth |
/// | generate | `text`, or messages[] | `reference`, one or several: TextsTruth; or none |
/// | summarise, translate | `text` | `reference`, one or several: TextsTruth |
/// | perplexity | `text` | none |
/// | similarity | `text` and `pair` | `score`: ScoreTruth |
/// | rank | `query` and `documents`[] | `relevance`[]: RelevanceTruth |
/// | choose | `question` (after `context`, where that is named) and `choices`[] | `label`: an index, a letter
/// or the choice's words: LabelTruth in words |
///
/// Answers may be texts, objects with a `text`, or SQuAD's lists of both; SQuAD's articles are read question
/// by question, and a true `is_impossible` says that there is none. Documents may be objects with `text` and
/// `relevance`, or two lists `positive` and `negative`. Choices may be AI2's {text: [], label: []}.
struct DataTask {
  std::string_view name;
  std::vector<TaskPart> parts;
};
const std::vector<DataTask>& data_tasks();
/// Error naming the tasks there are.
const DataTask& data_task(std::string_view name);

/// Reads a file of rows, or the evaluation rows of a folder (find_data_files()), in any form that
/// read_raw_rows() reads. A row that lacks a part, or whose part is blank or of a wrong type, is left out
/// with a remark; Error when more are left out than read. Error for a part that the task has not, a field
/// that no row has (naming those there are), and rows of pictures. `labels` are the names of classes or tags
/// in the order of their indices; none: those of meta.json, else those there are.
TaskRows read_task_rows(const std::filesystem::path& path, std::string_view task,
                        const TaskFields& fields = {}, const std::vector<std::string>& labels = {});

}  // namespace wattle::inline data
