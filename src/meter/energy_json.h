#pragma once

#include <wattle/meter.h>
#include <nlohmann/json.hpp>

namespace wattle {

/// All of an energy figure, to be kept and read again: between processes, beside prepared files, in records
/// of unfinished runs.
nlohmann::ordered_json energy_record(const Energy& energy);

/// Throws nlohmann's exceptions on a record that lacks something.
Energy energy_from_record(const nlohmann::json& record);

}  // namespace wattle
