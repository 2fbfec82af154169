#pragma once

#include <wattle/study.h>
#include <nlohmann/json.hpp>

namespace wattle::inline study {

/// A window as it travels from a worker process and lies beside a prepared file. Round, attempt, acceptance
/// and remark are the runner's and do not travel.
nlohmann::ordered_json to_json(const Window& window);
Window window_from_json(const nlohmann::json& json);

}  // namespace wattle::inline study
