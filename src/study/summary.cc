#include <algorithm>
#include <span>

#include "statistics/descriptive.h"
#include "statistics/intervals.h"
#include "study/metrics.h"

namespace wattle {
namespace {

constexpr double kJoulesPerWattHour = 3600;

/// The windows' energy, each times `per` of it.
std::vector<Energy> collect(const std::vector<const Window*>& windows, double (*per)(const Window&)) {
  std::vector<Energy> samples;
  for (const Window* window : windows) samples.push_back(scaled(window->energy, per(*window)));
  return samples;
}

std::vector<double> joules_of(std::span<const Energy> samples) {
  std::vector<double> values;
  for (const Energy& sample : samples) values.push_back(sample.joules);
  return values;
}

/// Median over windows. Its interval is the bootstrap's over windows, and the meter's own by the rules of
/// Energy: what repeats in every window does not shrink with their number.
Interval combine(std::span<const Energy> samples, uint64_t seed, double* statistical) {
  const std::vector<double> values = joules_of(samples);
  std::vector<double> drawn(values.size());
  const Interval repeated = bootstrap(static_cast<int64_t>(values.size()), seed, [&](auto indices) {
    for (size_t i = 0; i < indices.size(); ++i) drawn[i] = values[indices[i]];
    return median(drawn);
  });
  const Energy mean = mean_energy(samples);
  const Energy typical = mean.joules > 0 ? scaled(mean, repeated.value / mean.joules) : mean;
  const Energy spread = with_spread(typical, repeated.value - repeated.low, repeated.high - repeated.value);
  if (statistical != nullptr && repeated.value > 0) {
    *statistical = (repeated.high - repeated.low) / 2 / repeated.value;
  }
  return {repeated.value, spread.low, spread.high};
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

  const std::vector<Energy> samples = collect(queries, per_1000_queries);
  cell.wh_per_1000 = combine(samples, seed, &cell.wh_statistical);
  const std::vector<bool> flags = outliers(joules_of(samples));
  cell.outliers = static_cast<int>(std::count(flags.begin(), flags.end(), true));
  Energy total;
  for (const Window* window : queries) total = total + window->energy;
  cell.idle_share = total.joules > 0 ? total.idle_joules / total.joules : 0;
  cell.watts = total.seconds > 0 ? total.joules / total.seconds : 0;
  cell.grade = total.grade;
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
