#include "study/published.h"

#include <cmath>

namespace wattle::inline study {
namespace {

using Json = nlohmann::ordered_json;

/// JSON has no word for "not a number"; null stands for it.
Json to_json(double value) {
  return std::isnan(value) ? Json(nullptr) : Json(value);
}

double to_number(const Json& json) {
  return json.is_null() ? NAN : json.get<double>();
}

Json to_json(const std::optional<Interval>& interval) {
  if (!interval) return nullptr;
  return {{"value", interval->value}, {"low", to_json(interval->low)}, {"high", to_json(interval->high)}};
}

Json to_json(const std::map<std::string, Interval>& metrics) {
  Json json = Json::object();
  for (const auto& [metric, interval] : metrics) json[metric] = to_json(std::optional(interval));
  return json;
}

std::optional<Interval> to_interval(const Json& json) {
  if (json.is_null()) return std::nullopt;
  return Interval{json.at("value"), to_number(json.at("low")), to_number(json.at("high"))};
}

}  // namespace

Json published_figures(const CellResult& cell) {
  return {{"n", cell.n},
          {"quality", to_json(cell.quality)},
          {"metrics", to_json(cell.metrics)},
          {"wh_per_1000", to_json(cell.wh_per_1000)},
          {"net_wh_per_1000", to_json(cell.net_wh_per_1000)},
          {"grams_per_1000", to_json(cell.grams_per_1000)},
          {"wh_statistical", to_json(cell.wh_statistical)},
          {"idle_share", cell.idle_share},
          {"watts", cell.watts},
          {"grade", static_cast<int>(cell.grade)},
          {"source", cell.source},
          {"scope", cell.scope},
          {"p50_ms", cell.p50_ms},
          {"p95_ms", cell.p95_ms},
          {"peak_memory_bytes", cell.peak_memory_bytes},
          {"load_wh", to_json(cell.load_wh)},
          {"preparation_wh", to_json(cell.preparation_wh)},
          {"windows", cell.windows},
          {"rejected", cell.rejected},
          {"disturbed", cell.disturbed},
          {"outliers", cell.outliers},
          {"answers_repeat", cell.answers_repeat}};
}

void take_published_figures(const Json& figures, CellResult& cell) {
  cell.n = figures.at("n");
  cell.quality = to_interval(figures.at("quality"));
  cell.metrics.clear();
  for (const auto& [metric, interval] : figures.at("metrics").items())
    cell.metrics[metric] = *to_interval(interval);
  cell.wh_per_1000 = to_interval(figures.at("wh_per_1000"));
  cell.net_wh_per_1000 = to_interval(figures.at("net_wh_per_1000"));
  cell.grams_per_1000 = to_interval(figures.at("grams_per_1000"));
  cell.wh_statistical = to_number(figures.at("wh_statistical"));
  cell.idle_share = figures.at("idle_share");
  cell.watts = figures.at("watts");
  cell.grade = static_cast<Grade>(figures.at("grade").get<int>());
  cell.source = figures.at("source");
  cell.scope = figures.at("scope");
  cell.p50_ms = figures.at("p50_ms");
  cell.p95_ms = figures.at("p95_ms");
  cell.peak_memory_bytes = figures.at("peak_memory_bytes");
  cell.load_wh = to_interval(figures.at("load_wh"));
  cell.preparation_wh = to_interval(figures.at("preparation_wh"));
  cell.windows = figures.at("windows");
  cell.rejected = figures.at("rejected");
  cell.disturbed = figures.at("disturbed");
  cell.outliers = figures.at("outliers");
  cell.answers_repeat = figures.at("answers_repeat");
}

}  // namespace wattle::inline study
