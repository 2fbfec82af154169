#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "meter/carbon.h"
#include "meter/command.h"

namespace wattle {

/// A field of CSV, in quotes where it needs them.
std::string quoted(const std::string& text);

nlohmann::ordered_json to_json(const Consequences& consequences);

struct OwnCost {
  double cpu_seconds = 0, elapsed_seconds = 0, joules = 0;
  double percent_of_core() const { return elapsed_seconds > 0 ? 100 * cpu_seconds / elapsed_seconds : 0; }
};

/// Everything that one call of `wattle meter -- CMD` found out.
struct MeterReport {
  std::string notice;
  std::vector<Measurement> measurements;
  std::vector<Comparison> comparisons;
  std::vector<std::string> warnings;
  Energy idle_before, idle_after;
  Footprint footprint;
  OwnCost own;
  int signal = 0;  ///< that ended the measurement
};

/// Sentence for every comparison: "A uses 1.34x B (95 % interval 1.29-1.39)".
std::vector<std::string> verdicts_of(const MeterReport& report);

void print_report(const MeterReport& report);
nlohmann::ordered_json report_json(const MeterReport& report);
std::string report_csv(const MeterReport& report);
/// The columns of CodeCarbon's emissions.csv, a row a run; invalid windows have none.
std::string emissions_csv(const MeterReport& report);
std::string emissions_rows(const MeterReport& report);
/// What an emissions.csv holds to which rows can be appended: its content, or the header where there is no
/// such file. Error when it has other columns.
std::string emissions_of(const std::string& path);

}  // namespace wattle
