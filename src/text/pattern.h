#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/regex.h"

namespace wattle::inline text {

/// What a step of tokenizer.json looks for: {"String": text} or {"Regex": pattern}.
class Pattern {
 public:
  /// Of the key "pattern". Error when it is neither.
  static Pattern from_json(const JsonView& step);
  explicit Pattern(Regex regex) : regex_(std::move(regex)) {}
  explicit Pattern(std::string literal) : literal_(std::move(literal)) {}

  /// From left to right, in well-formed UTF-8.
  void for_each_match(std::string_view text, const std::function<void(size_t, size_t)>& found) const;

 private:
  std::optional<Regex> regex_;
  std::string literal_;
};

}  // namespace wattle::inline text
