#pragma once

#include <wattle/study.h>
#include <nlohmann/json.hpp>

namespace wattle::inline study {

/// A race as the store keeps it.
nlohmann::ordered_json race_json(const Race& race);
Race race_from_json(const nlohmann::json& json);

}  // namespace wattle::inline study
