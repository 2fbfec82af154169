#pragma once

#include <span>
#include <vector>

#include "meter/source.h"

namespace wattle::inline meter {

/// Sources that need no argument, the best of each kind first. Those of the kinds "processor" and "machine"
/// stand for each other; "gpu" ones are added to them unless what they count holds the graphics processors;
/// "unknown" ones are shown and never used.
struct KnownSource {
  const char* name;
  const char* kind;
  Probe (*open)(Machine&);
};
std::span<const KnownSource> known_sources();

/// Leaves out of a "gpu" source what the sources in `counted` hold already: all of it where one of them
/// measures the machine, a processor's graphics where one counts the package, a board that an earlier one
/// counts.
void leave_out_held(Machine& machine, const std::vector<const Source*>& counted, Source& gpu);
/// Whether any of its channels is counted.
bool counts_anything(const Source& source);

}  // namespace wattle::inline meter
