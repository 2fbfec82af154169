#pragma once

#include <string>
#include <vector>

#include "meter/power_law.h"

namespace wattle::inline meter {

/// One published SPECpower_ssj2008 result of 2017 or later whose processor belongs to a listed family.
struct ServerResult {
  std::string family;  ///< as data/processors.yaml names it
  std::string maker;
  bool amd = false, intel = false;
  int year = 0;  ///< of publication
  double chips = 0, cores = 0, threads = 0, memory_gb = 0;
  double design_watts = 0;  ///< of one chip; 0: not in the table
  double full_watts = 0, idle_watts = 0;
};

/// Package watts at a load, as RAPL showed them, on a processor that is loaded for half a minute.
struct LoadResult {
  std::string processor;  ///< folder of the table
  std::string mode;       ///< which cores were loaded: all a little, or some fully
  double load = 0;        ///< 0 to 1
  double megahertz = 0, full_load_megahertz = 0;
  double cores = 0;  ///< of all packages
  double design_watts = 0;
  double watts = 0;
};

/// Reads specpower.csv and tdp.csv of `folder`. Error when a table is missing or lacks a column.
std::vector<ServerResult> read_server_results(const std::string& folder);
/// Reads rapl_load.csv and tdp.csv of `folder`. Rows that its README calls unusable are left out.
std::vector<LoadResult> read_load_results(const std::string& folder);

/// What a server law may use, in the order of kServerFeatures.
std::vector<double> server_features(double design_watts, double chips, double memory_gb, int year, bool amd);
/// What a package law may use.
std::vector<double> package_features(double design_watts, double cores, double full_load_megahertz,
                                     double load);

/// Laws to choose from, each a physical reading of the same features.
const std::vector<LawCandidate>& server_candidates();
const std::vector<LawCandidate>& package_candidates();

}  // namespace wattle::inline meter
