#pragma once

#include <filesystem>
#include <optional>

#include <fmt/ranges.h>
#include <wattle/error.h>
#include <wattle/study.h>

#include "cli/verbs.h"
#include "report/advice.h"

namespace wattle {

struct SessionOptions {
  bool restart = false;           ///< measure everything again
  bool json = false;              ///< one JSON object in place of table and advice
  std::optional<RaceRules> race;  ///< a race in place of the plan's rounds
  double within = 0.10;           ///< of the advice
};

/// Runs a study with progress on standard error, writes report.html, report.csv and report.json beside its
/// store, and prints table, path and advice. What `study` and `compare` share. Error with exit status 1 when
/// every rung failed.
void run_and_report(const Plan& plan, const std::filesystem::path& directory, const SessionOptions& session,
                    const GlobalOptions& options);

/// Directory of a study called `name` when the user names none: "NAME.study", unusual characters replaced.
std::filesystem::path default_directory(const std::string& name);

/// Results of a directory or store; computed from the samples, with a notice, when the study was never
/// finished.
Results results_of(const std::filesystem::path& path, const GlobalOptions& options);

/// "200ms", "1.5s", "200" (milliseconds) and "2GB", "800MB", "2GiB". Error with the flag's name.
double parse_milliseconds(const std::string& text, const std::string& flag);
int64_t parse_bytes(const std::string& text, const std::string& flag);
/// "90s", "10min", "1h", "600" (seconds). Error with the flag's name.
double parse_seconds(const std::string& text, const std::string& flag);
/// "10%" or "0.1". Error with the flag's name.
double parse_percent(const std::string& text, const std::string& flag);

void print_lines(const std::vector<std::string>& lines);

}  // namespace wattle
