#include "study/yaml_reader.h"

#include <charconv>
#include <cmath>

#include <fmt/ranges.h>

namespace wattle::inline study {

YamlMap::YamlMap(const YAML::Node& node, std::string file, std::string what)
    : node_(node), file_(std::move(file)), what_(std::move(what)) {
  if (!node_.IsMap())
    fail_at(node_, fmt::format("{} must be a mapping of keys to values, as \"key: value\"", what_));
  std::set<std::string> keys;
  for (const auto& entry : node_) {
    if (!entry.first.IsScalar()) fail_at(entry.first, fmt::format("a key of {} must be plain text", what_));
    if (!keys.insert(entry.first.Scalar()).second) {
      fail_at(entry.first, fmt::format("`{}` is given twice; remove one of them", entry.first.Scalar()));
    }
  }
}

void YamlMap::fail_at(const YAML::Node& where, const std::string& sentence) const {
  const YAML::Mark mark = where.IsDefined() ? where.Mark() : YAML::Mark::null_mark();
  fail("{}:{}: {}", file_, mark.is_null() ? 1 : mark.line + 1, sentence);
}

YAML::Node YamlMap::node(const std::string& key) {
  known_.insert(key);
  return std::as_const(node_)[key];
}

std::string YamlMap::scalar(const YAML::Node& value, const std::string& key,
                            const std::string& wanted) const {
  if (!value.IsScalar()) fail_at(value, fmt::format("`{}` must be {}", key, wanted));
  return value.Scalar();
}

std::string YamlMap::text(const std::string& key, const std::string& fallback) {
  const YAML::Node value = node(key);
  if (!value.IsDefined()) return fallback;
  const std::string read = scalar(value, key, "a text");
  if (read.empty()) fail_at(value, fmt::format("`{}` is empty; give it a text or remove the line", key));
  return read;
}

double YamlMap::number(const std::string& key, double fallback, double least, double most) {
  const YAML::Node value = node(key);
  if (!value.IsDefined()) return fallback;
  const std::string wanted = fmt::format("a number from {} to {}", least, most);
  const std::string read = scalar(value, key, wanted);
  double result = 0;
  const auto [end, code] = std::from_chars(read.data(), read.data() + read.size(), result);
  if (code != std::errc() || end != read.data() + read.size() || !(result >= least && result <= most)) {
    fail_at(value, fmt::format("`{}` must be {}, not \"{}\"", key, wanted, read));
  }
  return result;
}

int64_t YamlMap::integer(const std::string& key, int64_t fallback, int64_t least, int64_t most) {
  const YAML::Node value = node(key);
  if (!value.IsDefined()) return fallback;
  const std::string wanted = fmt::format("a whole number from {} to {}", least, most);
  const std::string read = scalar(value, key, wanted);
  int64_t result = 0;
  const auto [end, code] = std::from_chars(read.data(), read.data() + read.size(), result);
  if (code != std::errc() || end != read.data() + read.size() || result < least || result > most) {
    fail_at(value, fmt::format("`{}` must be {}, not \"{}\"", key, wanted, read));
  }
  return result;
}

std::vector<std::string> YamlMap::texts(const std::string& key) {
  const YAML::Node value = node(key);
  if (!value.IsDefined()) return {};
  if (value.IsScalar()) return {scalar(value, key, "a text")};
  if (!value.IsSequence() || value.size() == 0)
    fail_at(value, fmt::format("`{}` must be a list, as [F32, Q8_0]", key));
  std::vector<std::string> read;
  for (const auto& entry : value) read.push_back(scalar(entry, key, "a list of texts"));
  return read;
}

void YamlMap::reject_unknown() const {
  for (const auto& entry : node_) {
    const std::string key = entry.first.Scalar();
    if (known_.count(key) == 0) {
      fail_at(entry.first,
              fmt::format("`{}` is not a key of {}; it knows {}", key, what_, fmt::join(known_, ", ")));
    }
  }
}

}  // namespace wattle::inline study
