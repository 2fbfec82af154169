#pragma once

#include <wattle/study.h>
#include <nlohmann/json.hpp>

namespace wattle::inline study {

/// The published figures of a cell as JSON and back; `report --verify` compares two of these.
nlohmann::ordered_json published_figures(const CellResult& cell);
void take_published_figures(const nlohmann::ordered_json& figures, CellResult& cell);

}  // namespace wattle::inline study
