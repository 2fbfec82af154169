#pragma once

#include <string>
#include <utility>
#include <vector>

#include <wattle/meter.h>

#include "base/work.h"
#include "meter/processor.h"

namespace wattle {

/// A parameter with the range that holds it in 95 of 100 cases.
struct Range {
  double low = 0, value = 0, high = 0;
};

/// Parameters of the modelled source for one processor family, or one calibrated machine.
struct PowerProfile {
  std::string name;
  std::string source;
  int year = 0;
  Range idle_watts_per_thread, full_watts_per_thread;
  Range int8_pj, bf16_pj, fp32_pj, byte_pj;
  bool recognised = false;  ///< false: the row for processors that are not listed
};

/// The profile of data/processors.yaml that fits `processor`, by its cpuid family, model and stepping, else
/// its name.
PowerProfile find_profile(const ProcessorId& processor);
/// A profile by the name of a family, or by the path of a file that `wattle meter calibrate` wrote.
PowerProfile load_profile(const std::string& name_or_path);
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
///   threads x idle x seconds + (full - idle) x busy_seconds + sum of operations x energy of one + bytes x
///   energy of one.
/// The interval follows from the ranges, each taken as independent of the others.
Energy modelled_energy(const PowerProfile& profile, const Activity& activity);

}  // namespace wattle
