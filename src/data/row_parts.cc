#include "data/row_parts.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/ranges.h>
#include <wattle/error.h>

#include "data/folded.h"
#include "text/unicode.h"

namespace wattle::inline data {
namespace {

using Json = nlohmann::ordered_json;

bool has(const RawRow& row, const std::string& field) {
  return value_at(row.fields, field) != nullptr;
}

/// The fields that there are in the first rows, in their order.
std::vector<std::string> fields_of(const std::vector<RawRow>& rows) {
  constexpr size_t kSample = 100;
  std::vector<std::string> names;
  std::set<std::string> seen;
  for (size_t i = 0; i < std::min(rows.size(), kSample); ++i) {
    for (const auto& item : rows[i].fields.items()) {
      if (seen.insert(item.key()).second) names.push_back(item.key());
    }
  }
  return names;
}

/// Error where rows name files of pictures.
void refuse_pictures(const std::vector<RawRow>& rows, const std::string& origin) {
  for (const char* field : {"file", "image", "image_path", "file_name", "img_path"}) {
    if (const Json* value = value_at(rows.front().fields, field); value != nullptr) {
      fail("{}: its rows are pictures (`{}`: {}), and tasks of pictures are not there yet; give rows of text",
           origin, field, value->dump());
    }
  }
}

std::optional<std::string> usual_field(const TaskPart& part, const std::vector<RawRow>& rows) {
  for (const std::string_view usual : part.usual) {
    const std::string field(usual);
    const auto count = std::ranges::count_if(rows, [&](const RawRow& row) { return has(row, field); });
    if (2 * static_cast<size_t>(count) >= rows.size()) return field;
  }
  return std::nullopt;
}

/// One of several texts. Answers may be numbers.
std::string text_in(const Json& value, std::string_view part, const std::string& place) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object() && value.contains("text") && value["text"].is_string()) {
    return value["text"].get<std::string>();
  }
  if (value.is_number()) return value.dump();
  fail("{}: its {} is {}, which is no text; mend the row or name another field", place, part,
       value.type_name());
}

}  // namespace

const Json* value_at(const Json& row, const std::string& field) {
  if (const auto found = row.find(field); found != row.end()) return &*found;
  const size_t dot = field.find('.');
  if (dot == std::string::npos) return nullptr;
  const auto outer = row.find(field.substr(0, dot));
  return outer != row.end() && outer->is_object() ? value_at(*outer, field.substr(dot + 1)) : nullptr;
}

std::optional<double> number_of(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value.is_boolean()) return value.get<bool>() ? 1 : 0;
  if (!value.is_string()) return std::nullopt;
  const std::string text(trimmed(value.get_ref<const std::string&>()));
  // What strtod takes beside decimals (inf, nan, 0x1p3) is no number of a table.
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != std::string::npos) return std::nullopt;
  char* end = nullptr;
  const double number = std::strtod(text.c_str(), &end);
  if (end != text.c_str() + text.size() || !std::isfinite(number)) return std::nullopt;
  return number;
}

void check_parts(const DataTask& task, const TaskFields& named) {
  std::vector<std::string_view> names;
  for (const TaskPart& part : task.parts) names.push_back(part.name);
  for (const auto& [part, field] : named) {
    if (std::ranges::find(names, part) != names.end()) continue;
    fail("the task {} has no part \"{}\"; name fields for {}", task.name, part, fmt::join(names, ", "));
  }
}

PartFields::PartFields(const DataTask& task, const TaskFields& named, const std::vector<RawRow>& rows,
                       const std::string& origin) {
  check_parts(task, named);
  for (const auto& [part, field] : named) {
    if (std::ranges::none_of(rows, [&](const RawRow& row) { return has(row, field); })) {
      fail("{}: no row has the field '{}' for the {}; name one of: {}", origin, field, part,
           fmt::join(fields_of(rows), ", "));
    }
    fields_[part] = field;
  }
  std::vector<std::string> taken;
  for (const TaskPart& part : task.parts) {
    const std::string name(part.name);
    if (fields_.count(name) > 0) continue;
    if (const auto field = usual_field(part, rows)) {
      fields_[name] = *field;
      if (*field != name) taken.push_back(fmt::format("`{}` as the {}", *field, name));
    } else if (part.needed) {
      refuse_pictures(rows, origin);
      fail("{}: its rows have no field for the {} of the task {} ({}); name one of: {}", origin, name,
           task.name, fmt::join(part.usual, ", "), fmt::join(fields_of(rows), ", "));
    }
  }
  if (!taken.empty()) remark_ = fmt::format("{}: read {}", origin, fmt::join(taken, ", "));
}

std::optional<std::string> PartFields::field(std::string_view part) const {
  const auto found = fields_.find(part);
  return found == fields_.end() ? std::nullopt : std::optional(found->second);
}

std::string PartFields::remark() const {
  return remark_;
}

const Json* RowParts::find(std::string_view part) const {
  const auto field = fields_.field(part);
  const Json* value = field ? value_at(row_.fields, *field) : nullptr;
  return value == nullptr || value->is_null() ? nullptr : value;
}

const Json& RowParts::need(std::string_view part) const {
  if (const Json* value = find(part)) return *value;
  fail("{}: has no {} (field '{}')", place(), part, fields_.field(part).value_or(std::string(part)));
}

std::string RowParts::text(std::string_view part) const {
  const Json& value = need(part);
  if (!value.is_string()) {
    fail("{}: its {} is {}, which is no text; mend the row or name another field", place(), part,
         value.type_name());
  }
  if (trimmed(value.get_ref<const std::string&>()).empty()) fail("{}: its {} is blank", place(), part);
  return value.get<std::string>();
}

std::vector<std::string> RowParts::texts(std::string_view part) const {
  const Json* value = find(part);
  std::vector<std::string> texts;
  if (value == nullptr) return texts;
  const bool lists = value->is_object() && value->contains("text") && (*value)["text"].is_array();
  const Json& list = lists ? (*value)["text"] : *value;
  const auto add = [&](const Json& one) {
    std::string text = text_in(one, part, place());
    const bool blank = trimmed(text).empty();
    if (!blank && std::ranges::find(texts, text) == texts.end()) texts.push_back(std::move(text));
  };
  if (!list.is_array()) add(list);
  for (size_t i = 0; list.is_array() && i < list.size(); ++i) add(list[i]);
  return texts;
}

double RowParts::number(std::string_view part) const {
  const Json& value = need(part);
  if (const auto number = number_of(value)) return *number;
  fail("{}: its {} is {}, which is no number; mend the row or name another field", place(), part,
       value.dump());
}

}  // namespace wattle::inline data
