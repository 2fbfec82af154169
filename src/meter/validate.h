#pragma once

#include <string>
#include <vector>

namespace wattle::inline meter {

/// How one law did on points whose group (processor family, processor) was left out of its fit.
struct LawCheck {
  std::string what, law;
  int points = 0, groups = 0;
  double median_error = 0;  ///< of |predicted / published - 1|
  double coverage = 0;      ///< share of points inside the 95 % interval
};

/// Checks the laws of docs/meter.md against a folder with specpower.csv, rapl_load.csv and tdp.csv: watts of
/// whole servers since 2017 at full load and idle, and package watts of the load curves. Each fit, and the
/// width of each interval, leaves the checked group out. Error when a table is missing or lacks a column.
std::vector<LawCheck> validate_power_laws(const std::string& folder);

/// A table, or a JSON array, on standard output is the caller's; this is its text.
std::string validation_text(const std::vector<LawCheck>& checks, bool json);

}  // namespace wattle::inline meter
