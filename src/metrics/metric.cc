#include "metrics/metric.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <wattle/error.h>

#include "metrics/kinds.h"
#include "statistics/comparisons.h"
#include "statistics/intervals.h"

namespace wattle::inline metrics {
namespace {

constexpr std::span<const MetricKind> (*kFamilies[])() = {
    label_metrics,      calibration_metrics, span_metrics,  extraction_metrics,
    perplexity_metrics, generation_metrics,  rouge_metrics, bleu_metrics,
    chrf_metrics,       cider_metrics,       score_metrics, ranking_metrics};

void require_pairs(std::span<const RowScore> a, std::span<const RowScore> b) {
  if (a.size() != b.size()) {
    fail("two sets of {} and {} rows cannot be compared in pairs; score the same rows", a.size(), b.size());
  }
}

std::vector<int64_t> all_places(size_t n) {
  std::vector<int64_t> places(n);
  std::iota(places.begin(), places.end(), 0);
  return places;
}

}  // namespace

ValueOfPlaces Metric::over(std::span<const RowScore> rows) const {
  return [this, rows](std::span<const int64_t> places) { return value(rows, places); };
}

void Metric::require_rows(size_t rows) const {
  if (rows == 0) fail("{} of no rows was asked for; give at least one", name());
}

void Metric::require_defined(double value) const {
  if (std::isnan(value)) fail("{} is not defined for these rows: it is {}", name(), description());
}

double Metric::value(std::span<const RowScore> rows) const {
  require_rows(rows.size());
  const double all = value(rows, all_places(rows.size()));
  require_defined(all);
  return all;
}

Interval Metric::interval(std::span<const RowScore> rows, uint64_t seed) const {
  const auto n = static_cast<int64_t>(rows.size());
  require_rows(rows.size());
  if (is_proportion()) {
    return wilson(std::ranges::count_if(rows, [](const RowScore& row) { return row.at(0) != 0; }), n);
  }
  const Interval interval = bootstrap(n, seed, over(rows));
  require_defined(interval.value);
  return interval;
}

std::unique_ptr<const Metric> make_metric(std::string_view name, std::span<const std::string> labels,
                                          std::span<const Truth> truths) {
  for (const auto& family : kFamilies) {
    for (const MetricKind& kind : family()) {
      if (kind.card.name == name) return kind.make(kind.card, {labels, truths});
    }
  }
  fail("there is no metric \"{}\"; take one of {}", name, fmt::join(metric_names(), ", "));
}

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const auto& family : kFamilies) {
    for (const MetricKind& kind : family()) names.emplace_back(kind.card.name);
  }
  return names;
}

Interval paired_difference(const Metric& metric, std::span<const RowScore> a, std::span<const RowScore> b,
                           uint64_t seed) {
  require_pairs(a, b);
  metric.value(a), metric.value(b);  // Error where either is not defined
  const ValueOfPlaces of_a = metric.over(a), of_b = metric.over(b);
  return bootstrap(static_cast<int64_t>(a.size()), seed,
                   [&](std::span<const int64_t> places) { return of_a(places) - of_b(places); });
}

double paired_test(const Metric& metric, std::span<const RowScore> a, std::span<const RowScore> b) {
  require_pairs(a, b);
  if (!metric.is_proportion()) {
    fail("{} is no share of right rows; look at the interval of the difference instead", metric.name());
  }
  int64_t only_a = 0, only_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    only_a += a[i].at(0) > b[i].at(0);
    only_b += a[i].at(0) < b[i].at(0);
  }
  return mcnemar_test(only_a, only_b);
}

}  // namespace wattle::inline metrics
