#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <wattle/meter.h>

#include "base/work.h"
#include "meter/processor.h"
#include "meter/raw_window.h"
#include "meter/server_power.h"

namespace wattle::inline meter {

/// The law of package watts under load with what it needs to know of the machine.
struct PackageModel {
  PowerLaw law;
  double cores = 0, megahertz = 0;
  double curve_scale = 0;  ///< ModelRecord::curve_scale
};

/// Parameters of the modelled source for one processor family, or one calibrated machine.
struct PowerProfile {
  std::string name;
  std::string source;
  int year = 0;
  Range idle_watts_per_thread, full_watts_per_thread;
  Range int8_pj, bf16_pj, fp32_pj, byte_pj;
  double idle_full_correlation = 0;     ///< of the logarithms of the two, over published servers
  bool recognised = false;              ///< false: the row for processors that are not listed
  std::optional<PackageModel> package;  ///< set: energy of the packages alone, as RAPL would show it
};

/// The profile of data/processors.yaml that fits `processor`, by its cpuid family, model and stepping, else
/// its name.
PowerProfile find_profile(const ProcessorId& processor);
/// A profile by the name of a family, or by the path of a file that `wattle meter calibrate` wrote.
PowerProfile load_profile(const std::string& name_or_path);
/// The profile of a whole server that the user states, by the law of servers: "tdp=360,chips=2,memory=768,
/// threads=256,year=2024[,vendor=amd]" (watts of one chip, gigabytes, year of the processor's generation).
/// Error naming what is missing.
PowerProfile server_profile(const std::string& facts, const ProcessorId& processor);
/// The profile of the packages alone: cores x clock x load^b. Error where cores or clock are not shown.
PowerProfile package_profile(const ProcessorId& processor);
/// Names of the families with the regular expressions of their processors' names.
std::vector<std::pair<std::string, std::string>> family_patterns();
std::string to_yaml(const PowerProfile& profile);

/// What a window did, as far as is known.
struct Activity {
  double seconds = 0;
  double busy_seconds = 0;  ///< processor time of all threads
  int threads = 1;          ///< hardware threads (vCPUs) whose idle share is charged
  Work work;
};

/// Energy of the vCPUs' share of their server, at the wall:
///   (threads x seconds - busy) x idle + busy x full + sum of operations x energy of one + bytes x energy of
///   one.
/// The interval follows from the ranges, each taken as independent of the others. With a package model it is
/// the energy of the packages at the window's mean load instead.
Energy modelled_energy(const PowerProfile& profile, const Activity& activity);
/// What that figure follows from.
RawModel raw_model(const PowerProfile& profile, const Activity& activity);

}  // namespace wattle::inline meter
