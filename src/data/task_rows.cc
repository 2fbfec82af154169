#include "data/task_rows.h"

#include <algorithm>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/utf8.h"
#include "data/files.h"
#include "data/label_names.h"
#include "data/row_parts.h"
#include "tasks/file_text.h"
#include "tasks/tagged_rows.h"

namespace wattle::inline data {
namespace {

namespace fs = std::filesystem;

/// Text files are lines, except where the whole is what is read.
RowFormat format_for(const fs::path& path, std::string_view task) {
  const std::string ending = path.extension().string();
  const bool whole = task == "perplexity" && (ending == ".txt" || ending == ".raw");
  return whole ? RowFormat::kWhole : RowFormat::kByName;
}

Span span_of(const TaggedSpan& tagged, const std::string& text) {
  const auto points = [&](uint32_t bytes) {
    return std::ranges::count_if(text.begin(), text.begin() + bytes,
                                 [](unsigned char c) { return (c & 0xC0) != 0x80; });
  };
  return {.begin = tagged.bytes.begin,
          .end = tagged.bytes.end,
          .begin_code_point = points(tagged.bytes.begin),
          .end_code_point = points(tagged.bytes.end),
          .label = tagged.name,
          .text = text.substr(tagged.bytes.begin, tagged.bytes.end - tagged.bytes.begin),
          .score = 1};
}

std::string field_of(const TaskFields& fields, const std::string& part) {
  const auto found = fields.find(part);
  return found == fields.end() ? std::string() : found->second;
}

TaskRows read_tags(const fs::path& path, const TaskFields& fields, const std::vector<std::string>& labels) {
  TaggedRows tagged = read_tagged_rows(path, {.field = field_of(fields, "text"),
                                              .label_field = field_of(fields, "tags"),
                                              .labels = labels,
                                              .bad_rows = BadRows::kLeaveOut});
  TaskRows rows{{}, {}, tagged.labels.labels(), std::move(tagged.remarks), std::move(tagged.sha256)};
  for (TaggedRow& row : tagged.rows) {
    SpansTruth truth;
    for (const TaggedSpan& span : row.spans) truth.spans.push_back(span_of(span, row.question.text()));
    rows.truths.emplace_back(std::move(truth));
    rows.questions.push_back(std::move(row.question));
  }
  return rows;
}

/// Gives every label the name of its class. Error for one that is none of the names.
void name_classes(TaskRows& rows, std::vector<std::string> given, const std::string& origin) {
  std::vector<std::string> labels;
  for (const Truth& truth : rows.truths) labels.push_back(std::get<LabelTruth>(truth).label);
  const LabelNames names(labels, std::move(given));
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto place = names.find(labels[i]);
    if (!place) {
      fail("{}: the label '{}' of row {} is none of the {} known labels ({}); mend the row", origin,
           labels[i], rows.questions[i].id, names.names().size(), fmt::join(names.names(), ", "));
    }
    rows.truths[i] = LabelTruth{names.names()[static_cast<size_t>(*place)]};
  }
  rows.labels = names.names();
  rows.remarks.insert(rows.remarks.end(), names.remarks().begin(), names.remarks().end());
}

/// How many answers are not in the text that they should be in.
std::string strange_answers(const TaskRows& rows, const std::string& origin) {
  int64_t count = 0;
  std::string first;
  for (size_t i = 0; i < rows.questions.size(); ++i) {
    const std::string& context = std::get<TextPair>(rows.questions[i].content).second;
    const std::vector<std::string>& texts = std::get<TextsTruth>(rows.truths[i]).texts;
    const auto missing = [&](const std::string& text) { return context.find(text) == std::string::npos; };
    if (texts.empty() || !std::ranges::all_of(texts, missing)) continue;
    if (count++ == 0) first = rows.questions[i].id;
  }
  if (count == 0) return {};
  return fmt::format("{}: the answers of {} row{} are not in their context, as written (the first: id {})",
                     origin, count, count == 1 ? "" : "s", first);
}

std::string id_of(const RawRow& row, size_t number) {
  const auto id = row.fields.find("id");
  return id == row.fields.end() ? std::to_string(number) : id->dump();
}

TaskRows read_asked(const fs::path& path, const DataTask& task, const TaskFields& named) {
  const std::string origin = origin_of(path);
  RawRows raw = read_raw_rows(path, format_for(path, task.name), "text", BadRows::kLeaveOut);
  if (task.name == "answer") raw.rows = questions_of_articles(std::move(raw.rows));
  if (raw.rows.empty()) fail("{}: holds no rows; give a file with at least one", origin);
  const PartFields fields(task, named, raw.rows, origin);
  if (task.name == "choose") check_choices(raw.rows, fields);
  TaskRows rows{{}, {}, {}, std::move(raw.notes), std::move(raw.sha256)};
  for (size_t i = 0; i < raw.rows.size(); ++i) {
    try {
      AskedRow asked = read_asked_row(task.name, RowParts(raw.rows[i], fields));
      asked.question.id = id_of(raw.rows[i], i);
      rows.questions.push_back(std::move(asked.question));
      rows.truths.push_back(std::move(asked.truth));
    } catch (const Error& error) {
      raw.left_out.add(error.what());
    }
  }
  const auto read = static_cast<int64_t>(rows.questions.size());
  raw.left_out.check(origin, read);
  const auto remark = [&](std::string sentence) {
    if (!sentence.empty()) rows.remarks.push_back(std::move(sentence));
  };
  remark(fields.remark());
  remark(raw.left_out.remark(read));
  if (raw.repaired > 0)
    remark(fmt::format("{}: {} rows held invalid UTF-8, which was replaced", origin, raw.repaired));
  if (task.name == "answer") remark(strange_answers(rows, origin));
  return rows;
}

}  // namespace

const std::vector<DataTask>& data_tasks() {
  // Fields as the Hub's data sets and common exports call them.
  static const std::vector<std::string_view> kTexts = {"text",      "sentence", "content", "review",
                                                       "message",   "body",     "comment", "tweet",
                                                       "utterance", "document", "title"};
  static const std::vector<std::string_view> kReferences = {"reference", "references", "summary",
                                                            "summaries", "highlights", "abstract",
                                                            "target",    "targets",    "tldr"};
  static const std::vector<DataTask> kTasks = {
      {"classify",
       {{"text",
         {"text", "sentence1", "premise", "text1", "sentence", "question1", "content", "review", "message",
          "body", "comment", "tweet", "utterance", "document", "title", "query"}},
        {"pair", {"text_pair", "sentence2", "hypothesis", "text2", "question2", "pair"}, false},
        {"label",
         {"label", "labels", "class", "category", "gold_label", "sentiment", "intent", "target", "label_text",
          "label_name", "kind"}}}},
      {"tag", {{"text", {"tokens", "words", "text"}}, {"tags", {"tags", "ner_tags", "spans", "entities"}}}},
      {"answer",
       {{"question", {"question", "query"}},
        {"context", {"context", "passage", "paragraph", "document", "text"}},
        {"answers", {"answers", "answer", "answer_text", "label"}}}},
      {"fill",
       {{"text", {"text", "sentence", "masked_text", "prompt", "masked_sentence"}},
        {"target", {"target", "answer", "word", "obj_label", "label"}}}},
      {"generate",
       {{"text",
         {"prompt", "text", "instruction", "question", "input", "messages", "conversations", "content"}},
        {"reference",
         {"reference", "references", "answer", "answers", "completion", "output", "response", "target",
          "targets"},
         false}}},
      {"summarise",
       {{"text",
         {"text", "document", "article", "dialogue", "source", "content", "report", "body", "transcript"}},
        {"reference", kReferences}}},
      {"translate",
       {{"text", {"text", "source", "src", "input"}},
        {"reference",
         {"reference", "references", "translation", "translations", "target", "targets", "tgt"}}}},
      {"perplexity", {{"text", kTexts}}},
      {"similarity",
       {{"text", {"text", "sentence1", "text1", "sentence_A", "sentence_a", "first"}},
        {"pair", {"text_pair", "sentence2", "text2", "sentence_B", "sentence_b", "second", "pair"}},
        {"score", {"score", "similarity", "similarity_score", "relatedness_score", "label"}}}},
      {"rank",
       {{"query", {"query", "question", "text"}},
        {"documents", {"documents", "docs", "passages", "positive", "candidates"}},
        {"relevance", {"relevance", "relevances", "labels", "label", "scores", "grades"}, false}}},
      {"choose",
       {{"question", {"question", "query", "stem", "text"}},
        {"choices", {"choices", "options", "endings", "answers"}},
        {"label", {"label", "answerKey", "answer_key", "answer", "correct", "gold", "target"}},
        {"context", {}, false}}},
  };
  return kTasks;
}

const DataTask& data_task(std::string_view name) {
  const auto found = std::ranges::find(data_tasks(), name, &DataTask::name);
  if (found != data_tasks().end()) return *found;
  std::vector<std::string_view> names;
  for (const DataTask& task : data_tasks()) names.push_back(task.name);
  fail("there are no rows of a task \"{}\"; take one of {}", name, fmt::join(names, ", "));
}

TaskRows read_task_rows(const fs::path& path, std::string_view name, const TaskFields& fields,
                        const std::vector<std::string>& labels) {
  const DataTask& task = data_task(name);
  const fs::path file = path == "-" ? path : find_data_files(path).eval;
  check_parts(task, fields);
  if (task.name == "tag") return read_tags(file, fields, labels);
  TaskRows rows = read_asked(file, task, fields);
  if (task.name == "classify")
    name_classes(rows, labels.empty() ? names_of_meta(file) : labels, origin_of(file));
  return rows;
}

}  // namespace wattle::inline data
