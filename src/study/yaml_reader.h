#pragma once

#include <set>
#include <string>
#include <vector>

#include <wattle/error.h>
#include <yaml-cpp/yaml.h>

namespace wattle::inline study {

/// A YAML mapping read strictly: a key is asked for once with its type and range, and those never asked for
/// are errors. Every error sentence begins with FILE:LINE and ends with the cure.
class YamlMap {
 public:
  /// Error when `node` is not a mapping or holds a key twice. `what` names it in sentences: "a plan", "a
  /// rung".
  YamlMap(const YAML::Node& node, std::string file, std::string what);

  bool has(const std::string& key) const { return node_[key].IsDefined(); }
  YAML::Node node(const std::string& key);  ///< undefined when absent

  std::string text(const std::string& key, const std::string& fallback);
  double number(const std::string& key, double fallback, double least, double most);
  int64_t integer(const std::string& key, int64_t fallback, int64_t least, int64_t most);
  std::vector<std::string> texts(const std::string& key);  ///< a list of texts, or one text

  /// Error for the first key that was not asked for, naming those that were.
  void reject_unknown() const;
  [[noreturn]] void fail_at(const YAML::Node& where, const std::string& sentence) const;
  const YAML::Node& whole() const { return node_; }

 private:
  std::string scalar(const YAML::Node& value, const std::string& key, const std::string& wanted) const;

  YAML::Node node_;
  std::string file_, what_;
  std::set<std::string> known_;
};

}  // namespace wattle::inline study
