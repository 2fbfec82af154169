#include "cli/hub_settings.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <fstream>

#include <wattle/error.h>

#include "base/utf8.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

/// Empty when the variable is not set.
std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

/// `~` at the beginning is the home directory, as the hub's client has it.
fs::path expanded(const std::string& path) {
  if (path != "~" && !path.starts_with("~/")) return path;
  return fs::path(variable("HOME")) / path.substr(std::min<size_t>(2, path.size()));
}

fs::path hub_home() {
  if (const std::string home = variable("HF_HOME"); !home.empty()) return expanded(home);
  if (const std::string cache = variable("XDG_CACHE_HOME"); !cache.empty())
    return expanded(cache) / "huggingface";
  if (!variable("HOME").empty()) return expanded("~/.cache/huggingface");
  fail("none of HF_HOME, XDG_CACHE_HOME and HOME is set; set one to say where models are kept");
}

std::string without_spaces(std::string text) {
  std::erase_if(text, [](unsigned char c) { return std::isspace(c) != 0; });
  return text;
}

}  // namespace

std::string hub_endpoint() {
  std::string endpoint = variable("HF_ENDPOINT");
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint.empty() ? "https://huggingface.co" : endpoint;
}

std::string hub_token() {
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    if (const std::string token = without_spaces(variable(name)); !token.empty()) return token;
  }
  const std::string place = variable("HF_TOKEN_PATH");
  std::string line;
  std::ifstream file(place.empty() ? hub_home() / "token" : expanded(place));
  std::getline(file, line);
  return without_spaces(line);
}

fs::path hub_cache_directory() {
  for (const char* name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    if (const std::string place = variable(name); !place.empty()) return expanded(place);
  }
  return hub_home() / "hub";
}

bool hub_is_off() {
  const std::string value = lower_ascii(variable("HF_HUB_OFFLINE"));
  return value == "1" || value == "true" || value == "yes" || value == "on";
}

}  // namespace wattle
