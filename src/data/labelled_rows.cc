#include "data/labelled_rows.h"

#include <cmath>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "data/folded.h"
#include "data/label_names.h"
#include "tasks/file_text.h"
#include "tasks/json.h"
#include "tasks/raw_rows.h"
#include "text/unicode.h"

namespace wattle::inline data {
namespace {

namespace fs = std::filesystem;

/// A row before the labels' names are known.
struct LabelledDraft {
  Question question;
  std::string label, place;
};

struct LabelledFile {
  std::string origin;
  std::vector<LabelledDraft> drafts;
  int64_t repaired = 0;
  std::vector<std::string> remarks;
};

/// Rows that lack something, and where the first of them is.
struct Blanks {
  std::string_view what;
  int64_t count = 0;
  std::string first = {};

  void add(const std::string& place) {
    if (count++ == 0) first = place;
  }
};

std::string blanks_text(const Blanks& blanks) {
  return fmt::format("{} row{} a blank {} and {} left out (the first: {})", blanks.count,
                     blanks.count == 1 ? " has" : "s have", blanks.what, blanks.count == 1 ? "was" : "were",
                     blanks.first);
}

LabelledFile read_labelled_file(const fs::path& path, const LabelledOptions& options) {
  RawRows raw = read_raw_rows(path, options.format, options.text_field, BadRows::kLeaveOut);
  LabelledFile file{origin_of(path), {}, raw.repaired, std::move(raw.notes)};
  const QuestionFields fields{.text = options.text_field, .pair = {}, .text_flag = options.text_flag};
  Blanks texts{"text"}, labels{"label"};
  for (size_t i = 0; i < raw.rows.size(); ++i) {
    RawRow& row = raw.rows[i];
    try {
      std::string label =
          label_text(need_field(row.fields, options.label_field, options.label_flag, row.place), row.place);
      // Conversations and ids have no text, and null is as blank as "".
      const nlohmann::ordered_json& text =
          need_field(row.fields, options.text_field, options.text_flag, row.place);
      const bool blank =
          text.is_null() || (text.is_string() && trimmed(text.get_ref<const std::string&>()).empty());
      if (label.empty()) {
        labels.add(row.place);
      } else if (blank) {
        texts.add(row.place);
      } else {
        file.drafts.push_back(
            {question_from_json(row.fields, fields, i, row.place), std::move(label), row.place});
      }
    } catch (const Error& error) {
      raw.left_out.add(error.what());
    }
  }
  const auto read = static_cast<int64_t>(file.drafts.size());
  raw.left_out.check(file.origin, read + texts.count + labels.count);
  for (const Blanks& blanks : {texts, labels}) {
    if (blanks.count > 0 && read == 0) {
      fail("{}: no row has both a text and a label; {}", file.origin, blanks_text(blanks));
    }
    if (blanks.count > 0) file.remarks.push_back(blanks_text(blanks));
  }
  if (std::string remark = raw.left_out.remark(read); !remark.empty())
    file.remarks.push_back(std::move(remark));
  return file;
}

LabelledRows named(LabelledFile file, const LabelNames& names, std::string_view flag) {
  LabelledRows data{{}, {}, names.names(), file.repaired, std::move(file.remarks)};
  for (LabelledDraft& draft : file.drafts) {
    const std::optional<int> label = names.find(draft.label);
    if (!label) {
      fail("{}: label '{}' is none of the {} known labels ({}); name the label field with {} or mend the row",
           draft.place, draft.label, names.names().size(), fmt::join(names.names(), ", "), flag);
    }
    data.labels.push_back(*label);
    data.rows.push_back(std::move(draft.question));
  }
  return data;
}

void append_labels(const LabelledFile& file, std::vector<std::string>& labels) {
  for (const LabelledDraft& draft : file.drafts) labels.push_back(draft.label);
}

}  // namespace

std::vector<std::string> LabelledRows::texts() const {
  std::vector<std::string> texts;
  texts.reserve(rows.size());
  for (const Question& row : rows) texts.push_back(row.text());
  return texts;
}

std::string label_text(const nlohmann::ordered_json& label, const std::string& place) {
  if (label.is_null()) return {};
  if (label.is_string()) {
    const std::string& text = label.get_ref<const std::string&>();
    return trimmed(text).empty() ? std::string() : text;
  }
  if (label.is_number_float()) {
    // What programs that know missing values make of whole numbers.
    const double number = label.get<double>();
    const bool whole = number == std::trunc(number) && std::abs(number) < 1e15;
    return whole ? std::to_string(static_cast<int64_t>(number)) : label.dump();
  }
  if (label.is_primitive()) return label.dump();
  fail("{}: its label is neither a text nor a number but {}; write one label a row", place,
       label.is_array() ? "a list" : "an object");
}

LabelledRows read_labelled_rows(const fs::path& path, const LabelledOptions& options) {
  LabelledFile file = read_labelled_file(path, options);
  std::vector<std::string> labels;
  append_labels(file, labels);
  const LabelNames names(labels, options.label_names.empty() ? names_of_meta(path) : options.label_names);
  LabelledRows rows = named(std::move(file), names, options.label_flag);
  rows.remarks.insert(rows.remarks.end(), names.remarks().begin(), names.remarks().end());
  return rows;
}

std::pair<LabelledRows, LabelledRows> read_labelled_rows(const fs::path& first, const fs::path& second,
                                                         const LabelledOptions& options) {
  LabelledFile files[] = {read_labelled_file(first, options), read_labelled_file(second, options)};
  std::vector<std::string> labels, given = options.label_names;
  for (const LabelledFile& file : files) append_labels(file, labels);
  for (const fs::path& path : {first, second}) {
    if (given.empty()) given = names_of_meta(path);
  }
  const LabelNames names(labels, given);
  std::pair<LabelledRows, LabelledRows> both = {named(std::move(files[0]), names, options.label_flag),
                                                named(std::move(files[1]), names, options.label_flag)};
  both.second.remarks.insert(both.second.remarks.end(), names.remarks().begin(), names.remarks().end());
  return both;
}

}  // namespace wattle::inline data
