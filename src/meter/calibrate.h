#pragma once

#include "meter/machine_meter.h"

namespace wattle::inline meter {

/// Fits the modelled source to the counters of this machine: idle, and arithmetic on 1, half and all threads
/// for `seconds` each. Watts a thread carry the interval of the counter and the spread between the loads;
/// energies of single operations stay those of the processor's family.
PowerProfile calibrate(MachineMeter& meter, double seconds);

}  // namespace wattle::inline meter
