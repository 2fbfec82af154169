#pragma once

#include <array>
#include <span>
#include <vector>

#include <wattle/meter.h>

#include "base/phases.h"

namespace wattle::inline meter {

/// Rows that ran together: the stretches of their time, and the seconds of each row in each phase.
struct BatchRecord {
  std::vector<Stretch> stretches;
  std::vector<Phases> rows;
};

/// A row's part of a window; `phase_joules`, in the order of kPhases, add up to `energy.joules` to the last
/// bit.
struct RowEnergy {
  Energy energy;
  std::array<double, kPhases.size()> phase_joules{};
};

/// Divides an ended window over the rows of its batches, and each row over its phases: a batch's phase has
/// the joules of its stretches, shared by the seconds that its rows spent in it. The joules of the rows,
/// added in order, are the window's to the last bit.
std::vector<RowEnergy> divide_window(Meter& meter, const Energy& window,
                                     std::span<const BatchRecord> batches);

}  // namespace wattle::inline meter
