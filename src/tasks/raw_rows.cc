#include "tasks/raw_rows.h"

#include <algorithm>
#include <set>
#include <utility>

#include <wattle/error.h>

#include "base/sha256.h"
#include "base/utf8.h"
#include "tasks/table.h"

namespace wattle {
namespace {

using nlohmann::json;

bool ends_with(const std::string& name, std::string_view suffix) {
  return name.ends_with(suffix);
}

RowFormat format_of(const std::filesystem::path& path, std::string_view text) {
  std::string name = path.filename().string();
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  if (ends_with(name, ".gz")) name.resize(name.size() - 3);
  if (ends_with(name, ".jsonl") || ends_with(name, ".ndjson")) return RowFormat::kJsonl;
  if (ends_with(name, ".csv")) return RowFormat::kCsv;
  if (ends_with(name, ".tsv") || ends_with(name, ".tab")) return RowFormat::kTsv;
  if (ends_with(name, ".txt")) return RowFormat::kLines;
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') return RowFormat::kJsonl;
  if (path == "-") return RowFormat::kLines;
  fail("{}: the name does not say what the file is; name it .jsonl, .csv, .tsv or .txt (with or without .gz)",
       path.string());
}

std::string_view without_byte_order_mark(std::string_view text, const std::string& origin) {
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF")) {
    fail("{}: is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`", origin);
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  return text;
}

/// Calls `each(line, number from 1)` for every line that is not blank, without its line end.
template <typename Each>
void for_each_line(std::string_view text, Each each) {
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.find_first_not_of(" \t") != std::string_view::npos) each(line, number);
  }
}

RawRows parse_jsonl(std::string_view text, const std::string& origin) {
  RawRows raw;
  for_each_line(text, [&](std::string_view line, int64_t number) {
    const std::string place = fmt::format("{}: row {} (line {})", origin, raw.rows.size(), number);
    const bool valid = is_utf8(line);
    raw.repaired += valid ? 0 : 1;
    const std::string repaired = valid ? std::string() : repaired_utf8(line);
    auto object = nlohmann::ordered_json::parse(valid ? line : std::string_view(repaired), nullptr, false);
    if (!object.is_object()) fail("{} is not a JSON object; write one object a line", place);
    raw.rows.push_back({std::move(object), place});
  });
  return raw;
}

RawRows parse_table(std::string_view text, RowFormat format, const std::string& origin) {
  RawRows raw;
  const bool csv = format == RowFormat::kCsv;
  std::vector<Record> records = parse_delimited(text, csv ? ',' : '\t', csv, origin);
  if (records.empty()) return raw;
  for (std::string& name : records.front().fields) name = repaired_utf8(name);
  const std::vector<std::string> names = std::move(records.front().fields);
  for (size_t i = 1; i < records.size(); ++i) {
    Record& record = records[i];
    RawRow row{{}, fmt::format("{}: row {} (line {})", origin, i - 1, record.line)};
    if (record.fields.size() != names.size()) {
      fail("{} has {} fields where the header has {}; put texts that hold a {} in quotes", row.place,
           record.fields.size(), names.size(), csv ? "comma" : "tab");
    }
    bool valid = true;
    for (size_t f = 0; f < names.size(); ++f) {
      if (!is_utf8(record.fields[f])) {
        valid = false;
        record.fields[f] = repaired_utf8(record.fields[f]);
      }
      row.fields[names[f]] = std::move(record.fields[f]);
    }
    raw.repaired += valid ? 0 : 1;
    raw.rows.push_back(std::move(row));
  }
  return raw;
}

RawRow text_row(std::string_view text, const std::string& field, std::string place, int64_t& repaired) {
  RawRow row{{}, std::move(place)};
  repaired += is_utf8(text) ? 0 : 1;
  row.fields[field] = repaired_utf8(text);
  return row;
}

/// meta.json beside the file; an empty object where there is none.
json meta_beside(const std::filesystem::path& path) {
  const auto meta_path = path.parent_path() / "meta.json";
  if (path == "-" || !std::filesystem::exists(meta_path)) return json::object();
  json meta = json::parse(read_all(meta_path), nullptr, false);
  if (!meta.is_object()) fail("{}: is not a JSON object; mend or remove it", meta_path.string());
  return meta;
}

}  // namespace

RawRows read_raw_rows(const std::filesystem::path& path, RowFormat format, const std::string& field) {
  const std::string origin = path == "-" ? "standard input" : path.string();
  const std::string bytes = read_all(path);
  const std::string_view text = without_byte_order_mark(bytes, origin);
  if (format == RowFormat::kByName) format = format_of(path, text);
  RawRows raw;
  switch (format) {
    case RowFormat::kJsonl:
      raw = parse_jsonl(text, origin);
      break;
    case RowFormat::kCsv:
    case RowFormat::kTsv:
      raw = parse_table(text, format, origin);
      break;
    case RowFormat::kWhole:
      raw.rows.push_back(text_row(text, field, origin, raw.repaired));
      break;
    default:
      for_each_line(text, [&](std::string_view line, int64_t number) {
        raw.rows.push_back(text_row(line, field, fmt::format("{}: line {}", origin, number), raw.repaired));
      });
  }
  if (raw.rows.empty()) fail("{}: holds no rows; give a file with at least one", origin);
  raw.sha256 = sha256_hex(bytes);
  return raw;
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

}  // namespace wattle
