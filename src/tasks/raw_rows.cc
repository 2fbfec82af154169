#include "tasks/raw_rows.h"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "base/utf8.h"
#include "tasks/file_text.h"
#include "tasks/json_rows.h"
#include "tasks/table.h"

namespace wattle::inline tasks {
namespace {

using nlohmann::json;

bool ends_with(const std::string& name, std::string_view suffix) {
  return name.ends_with(suffix);
}

RowFormat format_of(const std::filesystem::path& path, std::string_view text) {
  std::string name = lower_ascii(path.filename().string());
  if (ends_with(name, ".gz")) name.resize(name.size() - 3);
  for (const std::string_view suffix : {".jsonl", ".ndjson", ".json"}) {
    if (ends_with(name, suffix)) return RowFormat::kJsonl;
  }
  for (const std::string_view suffix : {".conll", ".conll2003", ".iob", ".iob2", ".bio"}) {
    if (ends_with(name, suffix)) return RowFormat::kConll;
  }
  if (ends_with(name, ".csv")) return RowFormat::kCsv;
  if (ends_with(name, ".tsv") || ends_with(name, ".tab")) return RowFormat::kTsv;
  if (ends_with(name, ".txt")) return RowFormat::kLines;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos) {
    const size_t second = text.find_first_not_of(" \t\r\n", first + 1);
    const bool array = text[first] == '[' && second != std::string_view::npos && text[second] == '{';
    if (text[first] == '{' || array) return RowFormat::kJsonl;
  }
  if (path == "-") return RowFormat::kLines;
  fail("{}: the name does not say what the file is; name it .jsonl, .json, .csv, .tsv, .conll or .txt",
       path.string());
}

/// Calls `each(line, number from 1)` for every line, without its line end.
template <typename Each>
void for_each_line(std::string_view text, Each each) {
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    each(line, ++number);
  }
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t") == std::string_view::npos;
}

/// Reads the rows of one file.
class RawReader {
 public:
  RawReader(const std::string& origin, BadRows bad_rows) : origin_(origin), bad_rows_(bad_rows) {}

  RawRows& raw() { return raw_; }

  void json(std::string_view text) {
    const JsonPieces pieces = split_json(text, origin_);
    if (!pieces.note.empty()) raw_.notes.push_back(pieces.note);
    int64_t mended = 0;
    std::string first;
    for (size_t i = 0; i < pieces.pieces.size(); ++i) {
      const std::string place = place_of(i, pieces.pieces[i].line);
      guarded([&] {
        JsonRow row = parse_json_row(valid(pieces.pieces[i].text), place);
        if (row.mended && mended++ == 0) first = place;
        add(std::move(row.fields), place);
      });
    }
    if (mended == 0) return;
    raw_.notes.push_back(
        fmt::format("{}: {} held half a surrogate pair, NaN, Infinity or a bare control character, read as "
                    "U+FFFD, null and "
                    "an escape (first: {})",
                    origin_, counted(mended, "row"), first));
  }

  void table(std::string_view text, RowFormat format) {
    Delimited how{.delimiter = format == RowFormat::kCsv ? ',' : '\t'};
    const char usual = how.delimiter;
    if (take_declared(text, how)) {
      how.first_line = 2;
    } else {
      how.delimiter = delimiter_of(text, usual);
    }
    how.strict_quotes = how.delimiter != '\t';
    if (bad_rows_ == BadRows::kLeaveOut) {
      how.refuse = [this](std::string sentence) { raw_.left_out.add(std::move(sentence)); };
    }
    if (how.delimiter != usual) {
      raw_.notes.push_back(
          fmt::format("{}: its columns are delimited by {}s", origin_, name_of(how.delimiter)));
    }
    std::vector<Record> records = parse_delimited(text, how, origin_);
    if (records.empty()) return;
    const std::vector<std::string> names = header(records.front());
    for (size_t i = 1; i < records.size(); ++i) {
      guarded([&] { add_record(records[i], names, place_of(i - 1, records[i].line), how.delimiter); });
    }
  }

  /// Sentences of words and tags: JSON's form of the same, {"tokens": [...], "tags": [...]}.
  void conll(std::string_view text) {
    size_t columns = 0;
    RawRow sentence;
    const auto finish = [&] {
      if (!sentence.fields.empty()) raw_.rows.push_back(std::move(sentence));
      sentence = {};
    };
    for_each_line(text, [&](std::string_view line, int64_t number) {
      if (is_blank(line)) return finish();
      std::vector<std::string> fields = columns_of(valid(line));
      // A word may begin with "#" too: a comment stands before a sentence and has other columns.
      const bool other = columns == 0 ? line.find('\t') == std::string_view::npos : fields.size() != columns;
      const bool comment = line.starts_with('#') && sentence.fields.empty() && other;
      if (comment || fields.front() == "-DOCSTART-") return;
      if (columns == 0) columns = fields.size();
      if (fields.size() != columns || columns < 2) {
        fail("{}: line {}: has {} columns where the first line has {}; give a word, a tag and a line a word",
             origin_, number, fields.size(), columns);
      }
      if (sentence.fields.empty()) sentence.place = place_of(raw_.rows.size(), number);
      sentence.fields["tokens"].push_back(std::move(fields.front()));
      sentence.fields["tags"].push_back(std::move(fields.back()));
    });
    finish();
  }

  void lines(std::string_view text, const std::string& field) {
    for_each_line(text, [&](std::string_view line, int64_t number) {
      if (is_blank(line)) return;
      add({{field, valid(line)}}, fmt::format("{}: line {}", origin_, number));
    });
  }

  void whole(std::string_view text, const std::string& field) { add({{field, valid(text)}}, origin_); }

 private:
  using Json = nlohmann::ordered_json;

  static std::string counted(int64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
  }

  static std::string_view name_of(char delimiter) {
    return delimiter == ';' ? "semicolon" : delimiter == '\t' ? "tab" : delimiter == '|' ? "bar" : "comma";
  }

  std::string place_of(size_t row, int64_t line) const {
    return fmt::format("{}: row {} (line {})", origin_, row, line);
  }

  void add(Json fields, std::string place) { raw_.rows.push_back({std::move(fields), std::move(place)}); }

  /// Well-formed UTF-8; counts the rows that were not.
  std::string valid(std::string_view text) {
    if (is_utf8(text)) return std::string(text);
    ++raw_.repaired;
    return repaired_utf8(text);
  }

  template <typename Read>
  void guarded(Read read) {
    if (bad_rows_ == BadRows::kFail) return read();
    try {
      read();
    } catch (const Error& error) {
      raw_.left_out.add(error.what());
    }
  }

  /// Excel's first line "sep=;".
  static bool take_declared(std::string_view& text, Delimited& how) {
    const size_t end = text.find('\n');
    if (!text.starts_with("sep=") || end == std::string_view::npos || end > 6 || end < 5) return false;
    how.delimiter = text[4];
    text.remove_prefix(end + 1);
    return true;
  }

  /// The names of the columns, trimmed; one without a name is called by its number.
  std::vector<std::string> header(const Record& record) const {
    std::vector<std::string> names;
    for (const std::string& field : record.fields) {
      std::string name = repaired_utf8(field);
      name.erase(0, name.find_first_not_of(" \t"));
      name.erase(name.find_last_not_of(" \t") + 1);
      if (name.empty()) name = fmt::format("column {}", names.size() + 1);
      if (std::ranges::count(names, name) > 0) {
        fail("{}: line {}: the header names the column '{}' twice; rename one", origin_, record.line, name);
      }
      names.push_back(std::move(name));
    }
    return names;
  }

  void add_record(Record& record, const std::vector<std::string>& names, const std::string& place,
                  char delimiter) {
    if (record.fields.size() != names.size()) {
      fail("{} has {} fields where the header has {}; put texts that hold a {} in quotes", place,
           record.fields.size(), names.size(), name_of(delimiter));
    }
    Json fields = Json::object();
    // The header's names differ: what `fields[name]` looks for each time is known.
    auto& object = fields.get_ref<Json::object_t&>();
    bool well_formed = true;
    for (size_t f = 0; f < names.size(); ++f) {
      std::string& field = record.fields[f];
      if (!is_utf8(field)) {
        well_formed = false;
        field = repaired_utf8(field);
      }
      object.emplace_back(names[f], std::move(field));
    }
    raw_.repaired += well_formed ? 0 : 1;
    add(std::move(fields), place);
  }

  /// By tabs where there are any, else by spaces.
  static std::vector<std::string> columns_of(std::string_view line) {
    const std::string_view blanks = line.find('\t') != std::string_view::npos ? "\t" : " ";
    std::vector<std::string> columns;
    for (size_t begin; (begin = line.find_first_not_of(blanks)) != std::string_view::npos;) {
      line.remove_prefix(begin);
      const size_t end = std::min(line.find_first_of(blanks), line.size());
      columns.emplace_back(line.substr(0, end));
      line.remove_prefix(end);
    }
    return columns;
  }

  const std::string& origin_;
  BadRows bad_rows_;
  RawRows raw_;
};

/// meta.json beside the file; an empty object where there is none.
json meta_beside(const std::filesystem::path& path) {
  const auto meta_path = path.parent_path() / "meta.json";
  if (path == "-" || !std::filesystem::exists(meta_path)) return json::object();
  json meta = json::parse(read_all(meta_path), nullptr, false);
  if (!meta.is_object()) fail("{}: is not a JSON object; mend or remove it", meta_path.string());
  return meta;
}

}  // namespace

void LeftOut::add(std::string sentence) {
  constexpr size_t kKept = 3;
  if (++count <= static_cast<int64_t>(kKept)) sentences.push_back(std::move(sentence));
}

std::string LeftOut::remark(int64_t rows_read) const {
  if (count == 0) return {};
  return fmt::format("{} of {} rows {} left out, because they cannot be read: {}{}", count, count + rows_read,
                     count == 1 ? "was" : "were", fmt::join(sentences, " | "),
                     count > static_cast<int64_t>(sentences.size()) ? " | ..." : "");
}

void LeftOut::check(const std::string& origin, int64_t rows_read) const {
  if (count == 0 || count <= rows_read) return;
  fail("{}: {} of {} rows cannot be read; mend the file or name its fields; the first: {}", origin, count,
       count + rows_read, sentences.front());
}

RawRows read_raw_rows(const std::filesystem::path& path, RowFormat format, const std::string& field,
                      BadRows bad_rows) {
  const std::string origin = origin_of(path);
  FileText file = read_file_text(path);
  if (format == RowFormat::kByName) format = format_of(path, file.text);
  RawReader reader(origin, bad_rows);
  reader.raw().notes = std::move(file.notes);
  reader.raw().sha256 = std::move(file.sha256);
  switch (format) {
    case RowFormat::kJsonl:
      reader.json(file.text);
      break;
    case RowFormat::kCsv:
    case RowFormat::kTsv:
      reader.table(file.text, format);
      break;
    case RowFormat::kConll:
      reader.conll(file.text);
      break;
    case RowFormat::kWhole:
      reader.whole(file.text, field);
      break;
    default:
      reader.lines(file.text, field);
  }
  RawRows& raw = reader.raw();
  raw.left_out.check(origin, static_cast<int64_t>(raw.rows.size()));
  if (raw.rows.empty()) fail("{}: holds no rows; give a file with at least one", origin);
  return std::move(raw);
}

std::vector<std::string> names_of_meta(const std::filesystem::path& path) {
  const json meta = meta_beside(path);
  if (!meta.contains("labels")) return {};
  const json& labels = meta["labels"];
  const bool texts = labels.is_array() && std::all_of(labels.begin(), labels.end(),
                                                      [](const json& label) { return label.is_string(); });
  if (!texts)
    fail("{}: `labels` is not an array of strings; mend or remove it",
         (path.parent_path() / "meta.json").string());
  return labels.get<std::vector<std::string>>();
}

void name_cells(const std::filesystem::path& path, std::span<const std::string> known, RawRows& raw) {
  const auto has_list = [](const RawRow& row) {
    return row.fields.contains("x") && row.fields["x"].is_array();
  };
  if (std::ranges::none_of(raw.rows, has_list)) return;
  std::vector<std::string> names;
  const json meta = meta_beside(path);
  if (meta.contains("columns") && meta["columns"].is_array()) {
    for (const json& column : meta["columns"]) {
      if (column.is_object() && column.contains("name") && column["name"].is_string())
        names.push_back(column["name"]);
    }
  }
  if (names.empty()) names.assign(known.begin(), known.end());
  if (names.empty()) {
    fail(
        "{}: has rows with a list `x` and no meta.json beside it whose `columns` name the cells; write it, "
        "or a "
        "field a cell",
        path.string());
  }
  for (RawRow& row : raw.rows) {
    if (!has_list(row) || row.fields["x"].size() != names.size())
      fail("{}: has not a list `x` of {} cells, one for each column; mend the row", row.place, names.size());
    nlohmann::ordered_json fields;
    for (auto& [key, value] : row.fields.items()) {
      if (key != "x") fields[key] = std::move(value);
    }
    for (size_t i = 0; i < names.size(); ++i) fields[names[i]] = std::move(row.fields["x"][i]);
    row.fields = std::move(fields);
  }
}

std::vector<std::string> distinct_sorted(const std::vector<std::string>& values) {
  const std::set<std::string> distinct(values.begin(), values.end());
  std::vector<std::string> names(distinct.begin(), distinct.end());
  const bool numbers = std::all_of(names.begin(), names.end(), [](const std::string& name) {
    return !name.empty() && name.size() < 10 && name.find_first_not_of("0123456789") == std::string::npos;
  });
  if (numbers) {
    std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
      return std::pair(std::stol(a), a) < std::pair(std::stol(b), b);
    });
  }
  return names;
}

}  // namespace wattle::inline tasks
