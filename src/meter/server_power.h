#pragma once

#include <map>
#include <string>
#include <vector>

#include "meter/power_tables.h"

namespace wattle::inline meter {

/// A parameter with the range that holds it in 95 of 100 cases.
struct Range {
  double low = 0, value = 0, high = 0;
};

/// Watts a hardware thread of one family's servers, at the wall.
struct FamilyRow {
  Range idle_watts_per_thread, full_watts_per_thread;
  int results = 0, first_year = 0, last_year = 0;
};

/// All that the tables of published watts tell: what data/server_power.yaml holds.
struct ServerPower {
  std::map<std::string, FamilyRow> families;
  ///< "unknown-amd", "unknown-intel", "unknown": of a family that is not listed, by its vendor
  PowerLaw full, idle, package;
  double idle_full_correlation = 0;  ///< of the errors of idle and full watts of one server
  double package_curve_scale =
      0;  ///< how far the errors of two loads of a package go together (load_pairs.h)
};

/// Fits everything to the tables of `folder` (see power_tables.h). A row is the median of its family's
/// results; its range is the conformal quantile of the errors with which the medians of all families meet the
/// servers of a maker that was left out.
ServerPower fit_server_power(const std::string& folder);

/// Text of data/server_power.yaml and back. Error naming `file` when it is no such text.
std::string to_yaml(const ServerPower& power);
ServerPower parse_server_power(const std::string& text, const std::string& file);

/// The points of the laws: group is the family, or the processor of a load curve.
std::vector<LawPoint> server_points(const std::vector<ServerResult>& results, double ServerResult::*watts);
std::vector<LawPoint> package_points(const std::vector<LoadResult>& results);
/// Watts a thread, group is the family: what is known of a processor of an unlisted family, and the laws to
/// choose from: one mean for all, or one for each of AMD and Intel.
std::vector<LawPoint> thread_points(const std::vector<ServerResult>& results, double ServerResult::*watts);
const std::vector<LawCandidate>& thread_candidates();
/// Those of AMD's and Intel's processors.
std::vector<ServerResult> of_two_vendors(const std::vector<ServerResult>& results);

/// Log errors of a family's results, each met by the median of its family without its maker; families of one
/// maker tell nothing.
struct RowError {
  std::string family;
  double log_error = 0;
};
std::vector<RowError> row_errors(const std::vector<ServerResult>& results, double ServerResult::*watts);
/// Half-width (of the logarithm) that holds 95 % of errors.
double row_half_width(const std::vector<RowError>& errors);
/// How far the errors of idle and full watts go together: the correlation with which two normal errors of the
/// half-widths of both make the ratio of idle to full as uncertain as the rows show it. Both lists are of the
/// same servers in one order.
double idle_full_correlation(const std::vector<RowError>& idle, const std::vector<RowError>& full);

}  // namespace wattle::inline meter
