#pragma once

#include <optional>
#include <string>

#include "meter/machine.h"
#include "meter/processor.h"

namespace wattle::inline meter {

/// What disturbs a measurement, as the operating system tells it; empty or nullopt where it does not (most
/// virtual machines hide the clocks).
struct MachineState {
  ProcessorId processor;
  std::string governor;  ///< "performance", "schedutil", ...
  std::optional<bool> turbo;
  std::optional<bool> smt;
  std::optional<double> megahertz;        ///< mean of the processors, now
  std::optional<double> degrees;          ///< the hottest thermal zone, Celsius
  std::optional<double> throttle_events;  ///< since the start of the machine, all cores
  double stolen_seconds = 0;  ///< processor time that a hypervisor gave to others, since the start
  double busy_seconds = 0;
  std::optional<double> load;  ///< load average of one minute
};
MachineState machine_state(Machine& machine);

}  // namespace wattle::inline meter
