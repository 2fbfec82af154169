#pragma once

#include <mutex>
#include <string>

#include "meter/machine_meter.h"

namespace wattle {

/// Every reading that a meter takes, as CSV from which anybody can compute its figures again: time on the
/// machine's clock, source, zone, scope, whether it is counted, the raw count and the joules of one count (of
/// counters), the watts (of power readings), and why a reading failed.
class Samples {
 public:
  explicit Samples(MachineMeter& meter);
  Samples(const Samples&) = delete;
  Samples& operator=(const Samples&) = delete;
  ~Samples();

  std::string csv() const;

 private:
  void take(const Source& source, double time, const std::vector<Reading>& readings);

  MachineMeter& meter_;
  mutable std::mutex mutex_;
  std::string csv_ = "time,source,zone,scope,counted,raw,joules_per_count,watts,problem\n";
};

}  // namespace wattle
