#include <algorithm>
#include <cmath>

#include "statistics/descriptive.h"
#include "statistics/intervals.h"
#include "study/metrics.h"

namespace wattle {
namespace {

constexpr double kJoulesPerWattHour = 3600;

struct EnergySamples {
  std::vector<double> values;        ///< one a window
  std::vector<double> below, above;  ///< the meter's own half-intervals, relative to the value
  Grade grade = Grade::kMeasured;
};

EnergySamples collect(const std::vector<const Window*>& windows, double (*per)(const Window&)) {
  EnergySamples samples;
  for (const Window* window : windows) {
    const Energy& energy = window->energy;
    samples.values.push_back(energy.joules * per(*window));
    samples.below.push_back(energy.joules > 0 ? (energy.joules - energy.low) / energy.joules : 0);
    samples.above.push_back(energy.joules > 0 ? (energy.high - energy.joules) / energy.joules : 0);
    samples.grade = std::max(samples.grade, energy.grade);
  }
  return samples;
}

/// Median over windows. Its interval adds two independent parts in quadrature: the bootstrap over windows,
/// and the meter's own. The latter is noise of each reading when a counter was read, so it shrinks with the
/// square root of the number of windows; of a model it is the doubt about parameters that every window
/// shares, and stays.
Interval combine(const EnergySamples& samples, uint64_t seed, double* statistical) {
  std::vector<double> drawn(samples.values.size());
  const Interval repeated = bootstrap(static_cast<int64_t>(samples.values.size()), seed, [&](auto indices) {
    for (size_t i = 0; i < indices.size(); ++i) drawn[i] = samples.values[indices[i]];
    return median(drawn);
  });
  const double shrink =
      samples.grade == Grade::kModelled ? 1 : 1 / std::sqrt(static_cast<double>(samples.values.size()));
  const double below = median(samples.below) * shrink * repeated.value;
  const double above = median(samples.above) * shrink * repeated.value;
  Interval interval;
  interval.value = repeated.value;
  interval.low = std::max(0.0, repeated.value - std::hypot(repeated.value - repeated.low, below));
  interval.high = repeated.value + std::hypot(repeated.high - repeated.value, above);
  if (statistical != nullptr && repeated.value > 0) {
    *statistical = (repeated.high - repeated.low) / 2 / repeated.value;
  }
  return interval;
}

double per_1000_queries(const Window& window) {
  return 1000 / static_cast<double>(window.queries) / kJoulesPerWattHour;
}

double per_window(const Window&) {
  return 1 / kJoulesPerWattHour;
}

void summarise_windows(CellResult& cell, uint64_t seed) {
  std::vector<const Window*> queries, loads;
  std::vector<double> latencies;
  cell.train_wh = 0;
  cell.rejected = cell.disturbed = 0;
  cell.peak_memory_bytes = 0;
  for (const Window& window : cell.samples) {
    if (window.kind == "train" || window.kind == "convert")
      cell.train_wh += window.energy.joules / kJoulesPerWattHour;
    if (window.kind == "load") loads.push_back(&window);
    if (window.kind != "queries") continue;
    cell.rejected += !window.accepted;
    if (!window.accepted || window.queries == 0) continue;
    queries.push_back(&window);
    cell.disturbed += !window.remark.empty();
    latencies.insert(latencies.end(), window.latencies_ms.begin(), window.latencies_ms.end());
    cell.peak_memory_bytes = std::max(cell.peak_memory_bytes, window.peak_memory_bytes);
  }
  cell.windows = static_cast<int>(queries.size());
  cell.wh_per_1000.reset();
  cell.load_wh.reset();
  if (!loads.empty()) cell.load_wh = combine(collect(loads, per_window), seed, nullptr);
  if (queries.empty()) return;

  const EnergySamples samples = collect(queries, per_1000_queries);
  cell.wh_per_1000 = combine(samples, seed, &cell.wh_statistical);
  const std::vector<bool> flags = outliers(samples.values);
  cell.outliers = static_cast<int>(std::count(flags.begin(), flags.end(), true));
  Energy total = queries.front()->energy;
  for (size_t i = 1; i < queries.size(); ++i) {
    total.joules += queries[i]->energy.joules;
    total.idle_joules += queries[i]->energy.idle_joules;
    total.seconds += queries[i]->energy.seconds;
  }
  cell.idle_share = total.joules > 0 ? total.idle_joules / total.joules : 0;
  cell.watts = total.seconds > 0 ? total.joules / total.seconds : 0;
  cell.grade = samples.grade;
  cell.source = total.source;
  cell.scope = total.scope;
  cell.p50_ms = latencies.empty() ? 0 : quantile(latencies, 0.5);
  cell.p95_ms = latencies.empty() ? 0 : quantile(latencies, 0.95);
}

/// Windows over the same rows must have given the same bytes; anything else is a fault worth seeing.
bool answers_repeat(const CellResult& cell, int parts) {
  std::map<int, std::string> first;
  for (const Window& window : cell.samples) {
    if (window.kind != "queries") continue;
    const auto [entry, is_new] = first.emplace(window.round % parts, window.outputs_sha256);
    if (!is_new && entry->second != window.outputs_sha256) return false;
  }
  return true;
}

}  // namespace

void summarise(Results& results) {
  const uint64_t seed = results.plan.seed;
  const auto n_labels = static_cast<int>(results.labels.size());
  // As deal_rows() does: there cannot be more parts than rows.
  const int parts = std::max(1, std::min(results.plan.rounds, static_cast<int>(results.truth.size())));
  for (CellResult& cell : results.cells) {
    summarise_windows(cell, seed);
    cell.n = static_cast<int64_t>(cell.outputs.size());
    cell.quality.reset();
    if (!cell.outputs.empty()) cell.quality = quality(results.plan.metric, cell.outputs, n_labels, seed);
    cell.answers_repeat = answers_repeat(cell, parts);
  }
}

}  // namespace wattle
