#pragma once

#include <string>
#include <vector>

#include "meter/source.h"

namespace wattle::inline meter {

/// A zone as doctor shows it: the channel and what its self-test found.
struct ZoneCheck {
  Channel channel;
  double watts = 0;  ///< mean over the test, of which half was under load
  double refresh_seconds = 0;
  std::string fault;  ///< empty, or what is wrong: stands still, implausible, could not be read
};

/// A source with its zones, or why it is not to be had and the command that mends it.
struct SourceCheck {
  std::string name, kind, obstacle, cure;
  std::vector<ZoneCheck> zones;
};

/// Tries every source that needs no argument, and reads each one's zones for `seconds` while one thread
/// works: a good counter moves, reads the same twice within its refresh, and tells a plausible power.
std::vector<SourceCheck> survey_sources(Machine& machine, double seconds);

}  // namespace wattle::inline meter
