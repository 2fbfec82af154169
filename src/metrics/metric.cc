#include "metrics/metric.h"

#include <algorithm>
#include <numeric>

#include <wattle/error.h>

#include "metrics/kinds.h"
#include "statistics/intervals.h"

namespace wattle {
namespace {

struct Entry {
  std::string_view name;
  std::unique_ptr<const Metric> (*make)(std::span<const std::string> labels);
};

constexpr Entry kMetrics[] = {
    {"accuracy", make_accuracy},
    {"macro_f1", make_macro_f1},
};

std::vector<int64_t> all_places(size_t n) {
  std::vector<int64_t> places(n);
  std::iota(places.begin(), places.end(), 0);
  return places;
}

}  // namespace

double Metric::value(std::span<const RowScore> rows) const {
  return value(rows, all_places(rows.size()));
}

Interval Metric::interval(std::span<const RowScore> rows, uint64_t seed) const {
  const auto n = static_cast<int64_t>(rows.size());
  if (is_proportion()) {
    return wilson(std::ranges::count_if(rows, [](const RowScore& row) { return row.at(0) != 0; }), n);
  }
  return bootstrap(n, seed, [&](std::span<const int64_t> places) { return value(rows, places); });
}

std::unique_ptr<const Metric> make_metric(std::string_view name, std::span<const std::string> labels) {
  for (const Entry& entry : kMetrics) {
    if (entry.name == name) return entry.make(labels);
  }
  fail("there is no metric \"{}\"; take one of {}", name, fmt::join(metric_names(), ", "));
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kMetrics) names.emplace_back(entry.name);
  return names;
}

Interval paired_difference(const Metric& metric, std::span<const RowScore> a, std::span<const RowScore> b,
                           uint64_t seed) {
  if (a.size() != b.size()) {
    fail("two sets of {} and {} rows cannot be compared in pairs; score the same rows", a.size(), b.size());
  }
  return bootstrap(static_cast<int64_t>(a.size()), seed, [&](std::span<const int64_t> places) {
    return metric.value(a, places) - metric.value(b, places);
  });
}

}  // namespace wattle
