#pragma once

#include <span>

#include "meter/source.h"

namespace wattle {

/// Sources that need no argument, the best of each kind first. Those of the kinds "processor" and "machine"
/// stand for each other; "gpu" ones are added to a processor's.
struct KnownSource {
  const char* name;
  const char* kind;
  Probe (*open)(Machine&);
};
std::span<const KnownSource> known_sources();

}  // namespace wattle
