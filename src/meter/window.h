#pragma once

#include <span>
#include <string>

#include "meter/source.h"

namespace wattle::inline meter {

/// Joules of one channel or of a sum between two moments, with the half-widths of their 95 % interval apart
/// by origin: `gain` belongs to the instrument and cancels in a ratio of two windows, `random` does not.
struct WindowEnergy {
  double joules = 0;
  double gain = 0;    ///< accuracy of the instrument
  double random = 0;  ///< edges, refresh, quantisation, noise
  double seconds = 0;
  double refresh_seconds = 0;  ///< of the slowest channel that is counted
  double quantum_joules = 0;   ///< one step of the counter, or one refresh at the mean power
  std::string invalid;         ///< empty, or why the figure is not to be believed
};

/// What is known of the load at a window's edges: nothing, or that it begins and ends with the window, as a
/// command does.
enum class Edges { kAny, kOfTheLoad };

/// A reading that differs from the one before it.
struct Change {
  double time;   ///< when the reading was taken
  double value;  ///< joules since the start (counter), watts (power)
  double since;  ///< the reading before it, which still showed the older value
};

/// What a channel has shown.
struct History {
  std::span<const Change> changes;  ///< at least one
  double refresh = 0;               ///< seconds between new readings
  bool learnt = false;              ///< or stated by the driver; else `refresh` is the least that is assumed
  double last_read = 0;
  double resolution = 0;  ///< joules of a counter's steps, where they are coarser than its unit
};

/// The window of a channel: a counter of energy, means of power over the time before each reading, or the
/// power at the moments of the readings. Docs: docs/meter.md, "Windows, refreshes and edges".
WindowEnergy window_energy(const Channel& channel, const History& history, double begin, double end,
                           Edges edges);

}  // namespace wattle::inline meter
