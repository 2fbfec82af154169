#pragma once

#include <span>

#include "meter/window.h"

namespace wattle::inline meter {

/// Seconds between new readings of a power source, from the readings that differed; `known` is what was
/// learnt before, 0 when nothing was, which is also what too few changes tell.
///
/// Readings repeat while the load is steady, so that the changes of a load that steps now and then lie many
/// refreshes apart. They still lie on the refreshes' lattice: every gap is a whole number of refreshes, but
/// for the dating of its ends and the source's own jitter. Of all lattices the one is taken under which the
/// gaps are most likely, relative to changes at any time.
double refresh_of_power(std::span<const Change> changes, double known);

}  // namespace wattle::inline meter
