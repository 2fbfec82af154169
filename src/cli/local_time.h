#pragma once

#include <chrono>
#include <ctime>

namespace wattle {

/// What the clock on the wall shows, for chat templates that write the date.
inline std::chrono::local_seconds local_time() {
  using namespace std::chrono;
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  const auto day = local_days(year(parts.tm_year + 1900) / (parts.tm_mon + 1) / parts.tm_mday);
  return day + hours(parts.tm_hour) + minutes(parts.tm_min) + seconds(parts.tm_sec);
}

}  // namespace wattle
