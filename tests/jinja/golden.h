#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <nlohmann/json.hpp>

#include "jinja/template.h"

namespace wattle::jinja {

inline std::filesystem::path golden_folder() {
  return std::filesystem::path(WATTLE_SOURCE_DIR) / "tests" / "golden" / "jinja";
}

inline std::string golden_text(const std::filesystem::path& name) {
  std::ifstream file(golden_folder() / name, std::ios::binary);
  if (!file) throw std::runtime_error("no golden file " + name.string());
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline nlohmann::ordered_json golden_json(const std::string& name) {
  return nlohmann::ordered_json::parse(golden_text(name));
}

inline Variables variables_of(const nlohmann::ordered_json& values) {
  Variables variables;
  for (const auto& [name, value] : values.items()) variables.emplace_back(name, Argument(value));
  return variables;
}

/// The time that the goldens' strftime_now tells.
inline std::chrono::local_seconds golden_time() {
  using namespace std::chrono;
  return local_days(2024y / July / 9) + hours(8) + minutes(5) + seconds(3);
}

}  // namespace wattle::jinja
