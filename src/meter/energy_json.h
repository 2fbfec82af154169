#pragma once

#include <wattle/meter.h>
#include <nlohmann/json.hpp>

namespace wattle::inline meter {

/// A figure as every output writes it: {"joules", "low", "high", "idle_joules", "net_joules", "seconds",
/// "grade", "source", "scope", "windows", "systematic", "resolution", "idle_half"}, "model" where a part is
/// modelled, and "invalid" where it is. idle_joules and net_joules are null where idle is not known. All of
/// it comes back by energy_from_json, to the last bit.
nlohmann::ordered_json energy_json(const Energy& energy);

/// Error where the record lacks something or says what no figure can be: a grade that is not known, joules
/// outside their interval, a negative half-width.
Energy energy_from_json(const nlohmann::json& record);

/// "measured", "attributed", "modelled". Error on another word.
Grade grade_from_name(std::string_view text);

}  // namespace wattle::inline meter
