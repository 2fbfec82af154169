#include "base/json.h"

#include <set>
#include <vector>

#include <wattle/error.h>

#include "base/mapped_file.h"

namespace wattle::inline base {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 100;  // deeper than any model file, shallow enough for code that recurses

[[noreturn]] void fail_type(const std::string& origin, const std::string& key, const json& value,
                            std::string_view wanted) {
  fail("{}: the value of \"{}\" is of type {} and not {}; correct the file or get it again", origin, key,
       value.type_name(), wanted);
}

}  // namespace

json parse_json(std::string_view text, const std::string& origin, bool unique_keys) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, const json& parsed) {
    const auto level = static_cast<size_t>(depth);
    if (depth > kMaxDepth) fail("{}: is nested deeper than {} levels; get the file again", origin, kMaxDepth);
    if (!unique_keys) return true;
    if (keys.size() <= level + 1) keys.resize(level + 2);
    if (event == json::parse_event_t::object_start) keys[level + 1].clear();
    if (event == json::parse_event_t::key && !keys[level].insert(parsed.get<std::string>()).second) {
      fail("{}: the key \"{}\" is there twice; the file is corrupt, get it again", origin,
           parsed.get<std::string>());
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), check);
  } catch (const json::parse_error& error) {
    fail("{}: is not JSON at byte {}; the file is cut or corrupt, get it again", origin, error.byte);
  } catch (const json::exception&) {
    fail("{}: holds a number that JSON readers cannot hold; the file is corrupt, get it again", origin);
  }
}

json read_json_file(const std::filesystem::path& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

JsonView::JsonView(const json* value, std::string origin)
    : value_(value != nullptr && value->is_null() ? nullptr : value), origin_(std::move(origin)) {
  if (value_ != nullptr && !value_->is_object()) {
    fail("{}: is of type {} and not an object; correct the file or get it again", origin_,
         value_->type_name());
  }
}

const json* JsonView::find(const std::string& key) const {
  if (value_ == nullptr) return nullptr;
  const auto place = value_->find(key);
  return place == value_->end() || place->is_null() ? nullptr : &*place;
}

bool JsonView::has_null(const std::string& key) const {
  if (value_ == nullptr) return false;
  const auto place = value_->find(key);
  return place != value_->end() && place->is_null();
}

JsonView JsonView::child(const std::string& key) const {
  const json* value = find(key);
  if (value != nullptr && !value->is_object()) fail_type(origin_, key, *value, "an object");
  return {value, origin_};
}

std::optional<int64_t> JsonView::integer(const std::string& key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number_integer()) fail_type(origin_, key, *value, "an integer");
  if (value->is_number_unsigned() && value->get<uint64_t>() > uint64_t{INT64_MAX}) {
    fail("{}: the value of \"{}\" is too large; correct the file or get it again", origin_, key);
  }
  return value->get<int64_t>();
}

std::optional<double> JsonView::number(const std::string& key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_number()) fail_type(origin_, key, *value, "a number");
  return value->get<double>();
}

std::optional<bool> JsonView::flag(const std::string& key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_boolean()) fail_type(origin_, key, *value, "true or false");
  return value->get<bool>();
}

std::optional<std::string> JsonView::text(const std::string& key) const {
  const json* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) fail_type(origin_, key, *value, "a string");
  return value->get<std::string>();
}

}  // namespace wattle::inline base
