#include "data/table_rows.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/json.h"
#include "data/files.h"
#include "data/folded.h"
#include "data/label_names.h"
#include "data/labelled_rows.h"
#include "data/row_parts.h"
#include "tasks/file_text.h"
#include "tasks/json.h"
#include "tasks/raw_rows.h"
#include "text/unicode.h"

namespace wattle::inline data {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const DataTask& table_task() {
  static const DataTask kTask = {
      "table",
      {{"label", {"label", "class", "target", "y", "outcome", "category"}, false}, {"score", {}, false}}};
  return kTask;
}

/// What is to be told from the others.
struct Wanted {
  std::string field;
  bool as_class = false, as_number = false;  ///< as a caller says; neither: by the values
};

Wanted wanted_of(const TaskFields& fields, const std::vector<RawRow>& rows, const std::string& origin) {
  check_parts(table_task(), fields);
  if (fields.size() > 1) fail("{}: both a label and a score are named; name one", origin);
  const PartFields parts(table_task(), fields, rows, origin);
  const auto label = parts.field("label"), score = parts.field("score");
  // Named for a number, the usual column of classes is a column as others.
  if (score) return {*score, false, true};
  if (label) return {*label, !fields.empty(), false};
  std::vector<std::string> names;
  for (const auto& item : rows.front().fields.items()) names.push_back(item.key());
  fail("{}: no column is called label, class, target or y; name what is to be told, one of: {}", origin,
       fmt::join(names, ", "));
}

/// The row's number as its column writes it.
std::optional<double> number_in(const Json& value, bool decimal_comma) {
  if (!decimal_comma || !value.is_string()) return number_of(value);
  std::string text = value.get<std::string>();
  std::ranges::replace(text, ',', '.');
  return number_of(Json(text));
}

/// A column of the file, before it is known to be of the table.
struct Source {
  DataColumn column;
  std::string field;
  std::optional<size_t> place;  ///< in the field's list
  bool decimal_comma = false;

  explicit Source(std::string name) : field(name) { column.name = std::move(name); }

  /// Null where the row has none.
  const Json* value(const RawRow& row) const {
    const auto found = row.fields.find(field);
    if (found == row.fields.end()) return nullptr;
    if (!place) return &*found;
    return found->is_array() && *place < found->size() ? &(*found)[*place] : nullptr;
  }
};

bool is_index(const std::string& name) {
  const std::string plain = folded(name);
  return plain == "id" || plain == "index" || plain == "column 1" || plain.starts_with("unnamed: ");
}

/// Whether a column holds numbers alone; with decimal commas where that makes them some.
void judge(Source& source, const std::vector<RawRow>& rows, bool may_have_comma) {
  bool plain = true, comma = may_have_comma;
  for (const RawRow& row : rows) {
    const Json* value = source.value(row);
    if (value == nullptr || is_missing(*value)) continue;
    plain = plain && !value->is_boolean() && number_in(*value, false).has_value();
    comma = comma && !value->is_boolean() && number_in(*value, true).has_value();
    if (!plain && !comma) break;
  }
  source.column.is_number = plain || comma;
  source.decimal_comma = comma && !plain;
}

/// The columns of lists `x`, by meta.json where there is one that names them.
std::vector<Source> listed_columns(const fs::path& file, const std::vector<RawRow>& rows,
                                   const std::string& origin) {
  std::vector<Source> sources;
  for (size_t i = 0; i < rows.front().fields["x"].size(); ++i) {
    Source& source = sources.emplace_back("x");
    source.column.name = fmt::format("x{}", i);
    source.place = i;
    judge(source, rows, false);
  }
  const fs::path meta_path = file.parent_path() / "meta.json";
  if (file == "-" || !fs::exists(meta_path)) return sources;
  const nlohmann::json meta = read_json_file(meta_path);
  const auto columns = meta.find("columns");
  if (columns == meta.end()) return sources;
  if (!columns->is_array() || columns->size() != sources.size()) {
    fail("{}: its rows have {} values and {} names other columns; mend one of them", origin, sources.size(),
         meta_path.string());
  }
  for (size_t i = 0; i < sources.size(); ++i) {
    const JsonView column(&(*columns)[i], meta_path.string());
    sources[i].column = {column.text("name").value_or(sources[i].column.name),
                         column.text("type").value_or("number") == "number"};
  }
  return sources;
}

class TableReader {
 public:
  TableReader(const fs::path& file, const TaskFields& fields)
      : file_(file),
        origin_(origin_of(file)),
        raw_(read_raw_rows(file, RowFormat::kByName, "text", BadRows::kLeaveOut)),
        wanted_(wanted_of(fields, raw_.rows, origin_)) {
    for (const std::string& note : raw_.notes) semicolons_ = semicolons_ || note.ends_with("by semicolons");
    table_.remarks = std::move(raw_.notes);
    table_.sha256 = std::move(raw_.sha256);
  }

  TableRows read(const std::vector<DataColumn>& columns, const std::vector<std::string>& labels) {
    std::vector<Source> sources = find_columns();
    if (!columns.empty()) sources = chosen(std::move(sources), columns);
    if (sources.empty()) fail("{}: has no column beside '{}'; give a table", origin_, wanted_.field);
    for (const Source& source : sources) table_.columns.push_back(source.column);
    for (size_t i = 0; i < raw_.rows.size(); ++i) {
      try {
        add(raw_.rows[i], i, sources);
      } catch (const Error& error) {
        raw_.left_out.add(error.what());
      }
    }
    const auto read = static_cast<int64_t>(table_.rows.size());
    raw_.left_out.check(origin_, read);
    remark(raw_.left_out.remark(read));
    if (missing_ > 0) remark(fmt::format("{}: {} values are missing", origin_, missing_));
    name_truths(labels.empty() ? names_of_meta(file_) : labels);
    return std::move(table_);
  }

 private:
  void remark(std::string sentence) {
    if (!sentence.empty()) table_.remarks.push_back(std::move(sentence));
  }

  std::vector<Source> find_columns() {
    const Json& first = raw_.rows.front().fields;
    if (first.contains("x") && first["x"].is_array()) return listed_columns(file_, raw_.rows, origin_);
    std::vector<Source> sources;
    std::vector<std::string> left_out;
    std::set<std::string> seen;
    for (const RawRow& row : raw_.rows) {
      for (const auto& item : row.fields.items()) {
        if (item.key() == wanted_.field || !seen.insert(item.key()).second) continue;
        if (is_index(item.key())) {
          left_out.push_back(item.key());
        } else {
          sources.emplace_back(item.key());
        }
      }
    }
    for (Source& source : sources) judge(source, raw_.rows, semicolons_);
    if (!left_out.empty()) {
      remark(fmt::format("{}: {} name{} rows and {} left out of the columns", origin_,
                         fmt::join(left_out, ", "), left_out.size() == 1 ? "s" : "",
                         left_out.size() == 1 ? "is" : "are"));
    }
    return sources;
  }

  /// Those of another file, in its order and kinds.
  std::vector<Source> chosen(std::vector<Source> sources, const std::vector<DataColumn>& columns) {
    std::vector<Source> all;
    for (const DataColumn& column : columns) {
      const auto found =
          std::ranges::find(sources, column.name,
                            [](const Source& source) -> const std::string& { return source.column.name; });
      if (found == sources.end())
        fail("{}: lacks the column '{}' of the set's other file", origin_, column.name);
      all.push_back(std::move(*found));
      all.back().column = column;
    }
    return all;
  }

  void add(const RawRow& row, size_t number, const std::vector<Source>& sources) {
    const Json* truth = value_at(row.fields, wanted_.field);
    if (truth == nullptr || is_missing(*truth)) fail("{}: its '{}' is missing", row.place, wanted_.field);
    std::vector<TableValue> values;
    int64_t missing = 0;
    for (const Source& source : sources) {
      const Json* value = source.value(row);
      if (value == nullptr || is_missing(*value)) {
        ++missing;
        values.emplace_back();
      } else if (source.column.is_number) {
        const auto number = number_in(*value, source.decimal_comma);
        if (!number) {
          fail("{}: '{}' is {}, and the column holds numbers; mend the row", row.place, source.column.name,
               value->dump());
        }
        values.emplace_back(*number);
      } else if (value->is_structured()) {
        fail("{}: '{}' is {}, which is no value of a table", row.place, source.column.name,
             value->type_name());
      } else {
        values.emplace_back(value->is_string() ? std::string(trimmed(value->get_ref<const std::string&>()))
                                               : value->dump());
      }
    }
    std::string label = label_text(*truth, row.place);
    missing_ += missing;
    truths_.push_back(std::move(label));
    numbers_.push_back(number_in(*truth, semicolons_));
    const auto id = row.fields.find("id");
    table_.ids.push_back(id == row.fields.end() ? std::to_string(number) : id->dump());
    table_.rows.push_back(std::move(values));
  }

  bool are_numbers(bool named) const {
    constexpr size_t kMostClasses = 20;
    if (wanted_.as_class || named) return false;
    if (wanted_.as_number) return true;
    std::set<double> different;
    bool whole = true;
    for (const auto& number : numbers_) {
      if (!number) return false;
      whole = whole && *number == std::trunc(*number);
      different.insert(*number);
    }
    return !whole || different.size() > kMostClasses;
  }

  void name_truths(std::vector<std::string> given) {
    if (are_numbers(!given.empty())) {
      for (size_t i = 0; i < numbers_.size(); ++i) {
        if (!numbers_[i]) fail("{}: '{}' holds '{}', which is no number", origin_, wanted_.field, truths_[i]);
        table_.truths.emplace_back(ScoreTruth{*numbers_[i]});
      }
      if (!wanted_.as_number) remark(fmt::format("{}: '{}' is told as a number", origin_, wanted_.field));
      return;
    }
    const LabelNames names(truths_, std::move(given));
    for (size_t i = 0; i < truths_.size(); ++i) {
      const auto place = names.find(truths_[i]);
      if (!place) {
        fail("{}: the label '{}' of row {} is none of the {} known labels ({}); mend the row", origin_,
             truths_[i], table_.ids[i], names.names().size(), fmt::join(names.names(), ", "));
      }
      table_.truths.emplace_back(LabelTruth{names.names()[static_cast<size_t>(*place)]});
    }
    table_.labels = names.names();
    for (const std::string& sentence : names.remarks()) remark(sentence);
  }

  fs::path file_;
  std::string origin_;
  RawRows raw_;
  Wanted wanted_;
  bool semicolons_ = false;
  TableRows table_;
  std::vector<std::string> truths_;
  std::vector<std::optional<double>> numbers_;
  int64_t missing_ = 0;
};

}  // namespace

TableRows read_table_rows(const fs::path& path, const TaskFields& fields,
                          const std::vector<DataColumn>& columns, const std::vector<std::string>& labels) {
  const fs::path file = path == "-" ? path : find_data_files(path).eval;
  return TableReader(file, fields).read(columns, labels);
}

}  // namespace wattle::inline data
