#include "report/format.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "study/scoring.h"

namespace wattle::inline report {

std::string significant(double value, int digits) {
  if (value == 0 || !std::isfinite(value)) return fmt::format("{}", value);
  const int magnitude = static_cast<int>(std::floor(std::log10(std::abs(value))));
  return fmt::format("{:.{}f}", value, std::max(0, digits - 1 - magnitude));
}

std::string energy(double watt_hours, int digits) {
  return std::abs(watt_hours) >= 1e-4 || watt_hours == 0 ? significant(watt_hours, digits)
                                                         : fmt::format("{:.{}e}", watt_hours, digits - 1);
}

std::string count(int64_t n) {
  std::string digits = std::to_string(n);
  for (int place = static_cast<int>(digits.size()) - 3; place > 0; place -= 3) digits.insert(place, ",");
  return digits;
}

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

std::string bytes(int64_t count) {
  const auto megabytes = static_cast<double>(count) / 1e6;
  return megabytes < 1000 ? fmt::format("{:.0f} MB", megabytes) : fmt::format("{:.2f} GB", megabytes / 1000);
}

std::string whole(double value) {
  const double scale = value < 1000 ? 1 : std::pow(10, std::floor(std::log10(value)) - 2);
  return count(static_cast<int64_t>(std::ceil(value / scale) * scale));
}

std::string cell_name(const CellResult& cell) {
  return cell.precision.empty() ? cell.rung : cell.rung + " " + cell.precision;
}

std::string asking_in_words(const Results& results) {
  if (!results.empty || !results.empty->wh_per_1000) return "";
  // Watt-hours for 1,000 queries, as joules for one.
  return fmt::format("The measuring itself: {} J a query, subtracted.",
                     energy(results.empty->wh_per_1000->value * 3.6, 2));
}

std::string title(std::string_view metric) {
  if (metric == "macro_f1") return "macro F1";
  std::string words(metric);
  std::replace(words.begin(), words.end(), '_', ' ');
  return words;
}

std::string quality_text(const Metric& metric, double value) {
  return is_share(metric) ? percent(value) : significant(value, 3);
}

namespace {

/// What is not known is null: bounds of fewer than three windows, and all of what was not measured.
nlohmann::ordered_json interval_json(const std::optional<Interval>& interval) {
  if (!interval) return nullptr;
  nlohmann::ordered_json json{{"value", interval->value}, {"low", nullptr}, {"high", nullptr}};
  if (interval->bounded()) json["low"] = interval->low, json["high"] = interval->high;
  return json;
}

}  // namespace

nlohmann::ordered_json cell_json(const CellResult& cell, const Results& results) {
  using Json = nlohmann::ordered_json;
  Json json{{"rung", cell.rung}, {"model", cell.model}, {"precision", nullptr}};
  if (!cell.precision.empty()) json["precision"] = cell.precision;
  json["bits_per_weight"] = cell.bits_per_weight ? Json(*cell.bits_per_weight) : Json(nullptr);
  json["n"] = cell.n;
  json["quality"] = nullptr;
  if (cell.quality) {
    const auto metric = metric_of(results);
    json["quality"] = {{"metric", metric->name()},
                       {"value", cell.quality->value},
                       {"low", cell.quality->low},
                       {"high", cell.quality->high},
                       {"greater_is_better", metric->greater_is_better()},
                       {"range", range_of(*metric)}};
  }
  json["metrics"] = Json::object();
  for (const std::string& metric : results.plan.metrics) {
    const auto found = cell.metrics.find(metric);
    json["metrics"][metric] =
        interval_json(found == cell.metrics.end() ? std::nullopt : std::optional(found->second));
  }
  json["wh_per_1000"] = json["latency_ms"] = json["peak_memory_bytes"] = nullptr;
  if (cell.wh_per_1000) {
    json["wh_per_1000"] = interval_json(cell.wh_per_1000);
    json["wh_per_1000"].update({{"grade", name(cell.grade)}, {"source", cell.source}, {"scope", cell.scope}});
    json["latency_ms"] = {{"p50", cell.p50_ms}, {"p95", cell.p95_ms}};
    json["peak_memory_bytes"] = cell.peak_memory_bytes;
  }
  json["net_wh_per_1000"] = interval_json(cell.net_wh_per_1000);
  json["grams_co2e_per_1000"] = interval_json(cell.grams_per_1000);
  json["load_wh"] = cell.load_wh ? Json(cell.load_wh->value) : Json(nullptr);
  json["preparation_wh"] = interval_json(cell.preparation_wh);
  json["error"] = cell.error.empty() ? Json(nullptr) : Json(cell.error);
  if (results.race) {
    const auto stopped = results.race->stopped.find(cell.key);
    json["stopped"] = stopped == results.race->stopped.end() ? Json(nullptr) : Json(stopped->second);
  }
  json["asking_wh_per_1000"] = interval_json(results.empty ? results.empty->wh_per_1000 : std::nullopt);
  return json;
}

}  // namespace wattle::inline report
