#include "cli/run_identity.h"

#include <algorithm>
#include <system_error>

#include <fmt/ranges.h>

#include "base/cpu.h"
#include "base/sha256.h"

namespace wattle {
namespace {

namespace fs = std::filesystem;

/// Empty when the path is no file.
std::string file_facts(const fs::path& path) {
  std::error_code code;
  if (!fs::is_regular_file(path, code)) return {};
  const auto bytes = fs::file_size(path, code);
  return fmt::format("{} bytes of {}", bytes, fs::last_write_time(path, code).time_since_epoch().count());
}

}  // namespace

std::string options_text(const CLI::App& verb, const std::vector<std::string>& except) {
  std::vector<std::string> given;
  for (const CLI::Option* option : verb.get_options()) {
    if (option->count() == 0) continue;
    const std::string name = option->get_name();
    if (std::find(except.begin(), except.end(), name) != except.end()) continue;
    for (const std::string& value : option->results()) {
      const std::string facts = file_facts(value);
      given.push_back(fmt::format("{} {}{}", name, value, facts.empty() ? "" : " (" + facts + ")"));
    }
  }
  std::sort(given.begin(), given.end());
  return fmt::format("{}", fmt::join(given, ", "));
}

std::string model_identity(const std::string& path) {
  std::error_code code;
  if (!fs::is_directory(path, code)) {
    const std::string facts = file_facts(path);
    return facts.empty() ? path : facts;
  }
  std::vector<std::string> files;
  for (fs::recursive_directory_iterator entry(path, code), end; !code && entry != end;
       entry.increment(code)) {
    const std::string facts = file_facts(entry->path());
    if (!facts.empty()) files.push_back(entry->path().lexically_relative(path).string() + " " + facts);
  }
  std::sort(files.begin(), files.end());
  return fmt::format("{} files, {:.16}", files.size(), sha256_hex(fmt::format("{}", fmt::join(files, "\n"))));
}

nlohmann::ordered_json run_identity(const std::vector<std::string>& models, const std::string& options,
                                    const std::string& input_sha256) {
  std::vector<std::string> identities;
  for (const std::string& model : models) {
    if (!model.empty()) identities.push_back(model_identity(model));
  }
  return {{"program", fmt::format("wattle {}, {}", WATTLE_VERSION, name(active_isa()))},
          {"model", fmt::format("{}", fmt::join(identities, "; "))},
          {"set of options", options},
          {"input", input_sha256}};
}

}  // namespace wattle
