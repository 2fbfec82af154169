#include "tasks/json_rows.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include <wattle/error.h>

namespace wattle::inline tasks {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMostLevels = 100;  // as parse_json() has it

constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/// Goes over the values of a text without reading them.
class Scanner {
 public:
  Scanner(std::string_view text, std::string origin) : text_(text), origin_(std::move(origin)) {}

  bool at_end() {
    skip_blanks();
    return position_ == text_.size();
  }
  char peek() {
    skip_blanks();
    return position_ < text_.size() ? text_[position_] : '\0';
  }
  /// Whether `c` stood next, and was passed.
  bool take(char c) {
    if (peek() != c) return false;
    ++position_;
    return true;
  }

  /// The next value. Error when it does not end.
  JsonPiece value() {
    skip_blanks();
    const size_t begin = position_;
    const int64_t line = line_;
    int64_t depth = 0;
    while (position_ < text_.size()) {
      const char c = text_[position_];
      if (c == '"') {
        skip_text();
      } else if (c == '{' || c == '[') {
        ++depth;
        ++position_;
      } else if (c == '}' || c == ']') {
        if (depth == 0) break;  // of what the value stands in
        --depth;
        ++position_;
      } else if (depth == 0 && (c == ',' || c == ':')) {
        break;
      } else if (depth == 0 && is_blank(c)) {
        break;
      } else {
        line_ += c == '\n' ? 1 : 0;
        ++position_;
        continue;
      }
      if (depth == 0) return {text_.substr(begin, position_ - begin), line};
    }
    if (depth > 0)
      fail("{}: line {}: the value that begins here is not closed; the file may be cut", origin_, line);
    if (position_ == begin && position_ < text_.size()) {
      fail("{}: line {}: a '{}' stands where a value should; mend the file", origin_, line, text_[position_]);
    }
    return {text_.substr(begin, position_ - begin), line};
  }

 private:
  void skip_blanks() {
    for (; position_ < text_.size() && is_blank(text_[position_]); ++position_) {
      line_ += text_[position_] == '\n' ? 1 : 0;
    }
  }
  void skip_text() {
    const int64_t line = line_;
    for (++position_; position_ < text_.size() && text_[position_] != '"'; ++position_) {
      if (text_[position_] == '\\') ++position_;
      line_ += position_ < text_.size() && text_[position_] == '\n' ? 1 : 0;
    }
    if (position_ >= text_.size()) {
      fail("{}: line {}: the text that begins here is not closed; the file may be cut", origin_, line);
    }
    ++position_;
  }

  std::string_view text_;
  std::string origin_;
  size_t position_ = 0;
  int64_t line_ = 1;
};

std::vector<JsonPiece> lines_of(std::string_view text) {
  std::vector<JsonPiece> lines;
  int64_t number = 0;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (!std::ranges::all_of(line, is_blank)) lines.push_back({line, number});
  }
  return lines;
}

std::vector<JsonPiece> elements_of(std::string_view array, int64_t line, const std::string& origin) {
  Scanner scanner(array, origin);
  std::vector<JsonPiece> elements;
  scanner.take('[');
  while (!scanner.take(']')) {
    if (scanner.at_end())
      fail("{}: line {}: the array that begins here is not closed; the file may be cut", origin, line);
    JsonPiece element = scanner.value();
    element.line += line - 1;
    elements.push_back(element);
    if (!scanner.take(',') && scanner.peek() != ']') {
      fail("{}: line {}: no comma follows the element; mend the file", origin, element.line);
    }
  }
  return elements;
}

/// The one list of rows in an object. Error for an object of columns, as pandas writes it by default.
std::optional<JsonPieces> list_in(const JsonPiece& object, const std::string& origin) {
  static const std::set<std::string_view> kLists = {
      "\"data\"", "\"rows\"", "\"examples\"", "\"records\"", "\"instances\"", "\"items\"", "\"samples\""};
  Scanner scanner(object.text, origin);
  scanner.take('{');
  std::optional<JsonPieces> found;
  size_t members = 0, columns = 0;
  while (!scanner.at_end() && !scanner.take('}')) {
    const JsonPiece key = scanner.value();
    if (!scanner.take(':')) return std::nullopt;  // no JSON: whoever reads it says so
    JsonPiece value = scanner.value();
    value.line += object.line - 1;
    scanner.take(',');
    ++members;
    columns += value.text.starts_with("{\"0\":") ? 1 : 0;
    if (!value.text.starts_with('[') || kLists.count(key.text) == 0) continue;
    if (found) fail("{}: has several lists of rows; keep one, or write one object a line", origin);
    found = {elements_of(value.text, value.line, origin),
             fmt::format("{}: its rows are the list {} of one JSON object", origin, key.text)};
  }
  if (members > 0 && columns == members) {
    fail("{}: is one object of columns; write one object a row: to_json(PATH, orient='records', lines=True)",
         origin);
  }
  return found;
}

/// Half of a surrogate pair, and what JSON has no number for, as Python writes both.
class Mender {
 public:
  explicit Mender(std::string_view text) : text_(text) {}

  std::string mended() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '"') in_text_ = !in_text_;
      if (in_text_ && c == '\\') {
        escape();
      } else if (in_text_ && static_cast<unsigned char>(c) < 0x20) {
        out_ += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        ++at_;
      } else if (in_text_ || !number()) {
        out_ += c;
        ++at_;
      }
    }
    return std::move(out_);
  }

 private:
  void copy(size_t count) {
    out_ += text_.substr(at_, count);
    at_ += count;
  }
  /// The unit of the escape \uXXXX at `at`.
  std::optional<unsigned> unit(size_t at) const {
    if (text_.size() < at + 6 || text_[at] != '\\' || text_[at + 1] != 'u') return std::nullopt;
    unsigned value = 0;
    const char* begin = text_.data() + at + 2;
    const auto [end, code] = std::from_chars(begin, begin + 4, value, 16);
    return code == std::errc() && end == begin + 4 ? std::optional(value) : std::nullopt;
  }
  void escape() {
    const auto is = [](std::optional<unsigned> value, unsigned first) {
      return value && *value >= first && *value < first + 0x400;
    };
    const auto here = unit(at_);
    if (is(here, 0xD800) && is(unit(at_ + 6), 0xDC00)) return copy(12);
    if (is(here, 0xD800) || is(here, 0xDC00)) {
      out_ += "\\ufffd";
      at_ += 6;
      return;
    }
    copy(2);
  }
  bool number() {
    for (const std::string_view word : {"NaN", "-Infinity", "Infinity"}) {
      if (!text_.substr(at_).starts_with(word)) continue;
      out_ += "null";
      at_ += word.size();
      return true;
    }
    return false;
  }

  std::string_view text_;
  std::string out_;
  size_t at_ = 0;
  bool in_text_ = false;
};

bool is_object(std::string_view text) {
  const bool begins = text[text.find_first_not_of(" \t\r\n")] == '{';
  return begins && (Json::accept(text) || Json::accept(Mender(text).mended()));
}

/// The share of the first lines that are rows by themselves.
double share_of_rows(const std::vector<JsonPiece>& lines) {
  constexpr size_t kSample = 20;
  const auto n = static_cast<ptrdiff_t>(std::min(lines.size(), kSample));
  const auto rows = std::count_if(lines.begin(), lines.begin() + n,
                                  [](const JsonPiece& line) { return is_object(line.text); });
  return static_cast<double>(rows) / static_cast<double>(n);
}

/// A discarded value where the text is no JSON.
Json parse(std::string_view text, const std::string& place) {
  std::set<std::string> keys;
  return Json::parse(
      text,
      [&](int depth, Json::parse_event_t event, Json& parsed) {
        if (depth > kMostLevels)
          fail("{}: is nested deeper than {} levels; mend the row", place, kMostLevels);
        if (depth == 1 && event == Json::parse_event_t::key &&
            !keys.insert(parsed.get_ref<const std::string&>()).second) {
          fail("{}: has the field '{}' twice; mend the row", place, parsed.get_ref<const std::string&>());
        }
        return true;
      },
      false);
}

}  // namespace

JsonPieces split_json(std::string_view text, const std::string& origin) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  std::vector<JsonPiece> lines = lines_of(text);
  if (text[first] != '[' && text[first] != '{') return {std::move(lines), {}};
  const double rows = share_of_rows(lines);
  const bool by_line = lines.size() > 1 && text[first] == '{' && (rows > 0.5 || is_object(lines[0].text));
  if (by_line) return {std::move(lines), {}};
  Scanner scanner(text, origin);
  std::vector<JsonPiece> values;
  try {
    while (!scanner.at_end()) values.push_back(scanner.value());
  } catch (const Error&) {
    // A line that is no JSON among lines that should be: each is judged by itself.
    if (lines.size() > 1 && rows == 0) throw;
    return {std::move(lines), {}};
  }
  if (values.size() == 1 && text[first] == '[') {
    return {elements_of(values[0].text, values[0].line, origin),
            fmt::format("{}: is one JSON array and was read as a row an element", origin)};
  }
  if (values.size() == 1) {
    if (auto list = list_in(values[0], origin)) return std::move(*list);
  }
  const bool spread = values.size() != lines.size();
  return {std::move(values), spread ? fmt::format("{}: its objects go over several lines", origin) : ""};
}

JsonRow parse_json_row(std::string_view text, const std::string& place) {
  JsonRow row{parse(text, place), false};
  if (row.fields.is_discarded()) {
    row.fields = parse(Mender(text).mended(), place);
    row.mended = !row.fields.is_discarded();
  }
  if (row.fields.is_object()) return row;
  const size_t first = text.find_first_not_of(" \t\r\n{");
  if (row.fields.is_discarded() && first != std::string_view::npos && text[first] == '\'') {
    fail("{} is a Python dictionary and not a JSON object; write it with json.dumps()", place);
  }
  fail("{} is not a JSON object; write one object a line", place);
}

}  // namespace wattle::inline tasks
