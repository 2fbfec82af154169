#pragma once

#include <string>
#include <string_view>

#include <wattle/study.h>
#include <nlohmann/json.hpp>

#include "metrics/metric.h"

namespace wattle::inline report {

std::string significant(double value, int digits);  ///< "0.0123", "1.20", "345", never an exponent
std::string energy(double watt_hours,
                   int digits);     ///< as significant(), below 0.0001 with an exponent: "2.76e-06"
std::string count(int64_t n);       ///< "12,345"
std::string percent(double share);  ///< 0.903 -> "90.3 %"
std::string bytes(int64_t count);   ///< "98 MB", decimal
std::string whole(double count);    ///< "12,300": three significant digits, thousands apart
std::string cell_name(const CellResult& cell);  ///< "all-minilm-l6-v2 Q4_0", or "linear"

/// A metric's name for people: "accuracy", "macro F1", "rouge l".
std::string title(std::string_view metric);
/// A value of the metric, or a difference of two: "90.3 %" where its range is 0 to 1, else "12.3".
std::string quality_text(const Metric& metric, double value);

/// "The measuring itself: 1.2e-06 J a query, subtracted."; empty where it was not measured.
std::string asking_in_words(const Results& results);

/// One cell with the keys that `report --json` promises: rung, model, precision, bits_per_weight, n, quality,
/// metrics, wh_per_1000, latency_ms, peak_memory_bytes, net_wh_per_1000, grams_co2e_per_1000, load_wh,
/// preparation_wh, error, asking_wh_per_1000, and of a race `stopped`. What was not measured is null.
nlohmann::ordered_json cell_json(const CellResult& cell, const Results& results);

}  // namespace wattle::inline report
