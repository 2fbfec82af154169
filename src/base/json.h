#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace wattle::inline base {

/// Parses untrusted JSON. Throws Error naming `origin` and the place when it is no JSON, is nested deeper
/// than 100 levels, or (`unique_keys`) has one key twice in an object.
nlohmann::json parse_json(std::string_view text, const std::string& origin, bool unique_keys = false);
nlohmann::json read_json_file(const std::filesystem::path& path);

/// One object of a JSON file, for reading with checked types: absent and null values are nullopt, a value of
/// another type throws Error naming file and key. Does not own the object.
class JsonView {
 public:
  /// `value` may be null or a JSON null: then nothing is there. Error when it is something other than an
  /// object.
  JsonView(const nlohmann::json* value, std::string origin);

  explicit operator bool() const { return value_ != nullptr; }
  const std::string& origin() const { return origin_; }

  /// Null when the key is absent or its value is null.
  const nlohmann::json* find(const std::string& key) const;
  /// Whether the key is there with the value null.
  bool has_null(const std::string& key) const;
  JsonView child(const std::string& key) const;
  std::optional<int64_t> integer(const std::string& key) const;
  std::optional<double> number(const std::string& key) const;
  std::optional<bool> flag(const std::string& key) const;
  std::optional<std::string> text(const std::string& key) const;
  /// Calls f(key) for every key whose value is not null.
  template <class F>
  void each_key(const F& f) const {
    if (value_ == nullptr) return;
    for (const auto& [key, value] : value_->items()) {
      if (!value.is_null()) f(key);
    }
  }

 private:
  const nlohmann::json* value_;
  std::string origin_;
};

}  // namespace wattle::inline base
