#include "study/summary.h"

#include <algorithm>
#include <cmath>
#include <span>

#include <wattle/error.h>

#include "meter/carbon.h"
#include "statistics/descriptive.h"
#include "statistics/intervals.h"
#include "study/scoring.h"

namespace wattle::inline study {
namespace {

constexpr double kJoulesPerWattHour = 3600;

bool counts(const Window& window) {
  return window.kind == "queries" && window.accepted && window.queries > 0;
}

std::map<int, Energy> gross_by_round(const CellResult& cell) {
  std::map<int, Energy> energies;
  for (const Window& window : cell.samples) {
    if (counts(window))
      energies[window.round] = scaled(window.energy, 1000 / static_cast<double>(window.queries));
  }
  return energies;
}

std::vector<Energy> values_of(const std::map<int, Energy>& by_round) {
  std::vector<Energy> energies;
  for (const auto& [round, energy] : by_round) energies.push_back(energy);
  return energies;
}

std::vector<double> joules_of(std::span<const Energy> samples) {
  std::vector<double> values;
  for (const Energy& sample : samples) values.push_back(sample.joules);
  return values;
}

/// Student's t interval over windows, of logarithms where every window drew something.
Interval over_windows(std::span<const double> values) {
  const bool positive = std::all_of(values.begin(), values.end(), [](double value) { return value > 0; });
  return positive ? student_interval_of_logs(values) : student_interval(values);
}

/// Joules as watt-hours, with what the windows tell by their spread and what the meter says of itself.
Interval combine(std::span<const Energy> samples, double* statistical) {
  const Interval spread = over_windows(joules_of(samples));
  if (statistical != nullptr) *statistical = spread.half() / std::max(spread.value, 1e-300);
  Interval wh{spread.value / kJoulesPerWattHour, spread.low, spread.high};
  wh.value = std::max(wh.value, 0.0);
  if (!spread.bounded()) return wh;
  const Energy mean = mean_energy(samples);
  const Energy typical = mean.joules > 0 ? scaled(mean, spread.value / mean.joules) : mean;
  const Energy whole = with_spread(typical, spread.value - spread.low, spread.high - spread.value);
  // What is left after a subtraction is known not to be less than nothing; where less was seen, as much may
  // be left as the doubt upwards is.
  wh.low = std::max(0.0, whole.low / kJoulesPerWattHour);
  wh.high = wh.value + (whole.high - whole.joules) / kJoulesPerWattHour;
  return wh;
}

std::optional<Interval> net_of(std::span<const Energy> samples) {
  std::vector<Energy> net;
  for (const Energy& sample : samples) {
    if (!sample.idle_known) return std::nullopt;
    net.push_back(net_of_idle(sample));
  }
  return combine(net, nullptr);
}

std::optional<Interval> grams_of(const std::string& zone, const Interval& wh) {
  if (zone.empty()) return std::nullopt;
  const double grams = carbon_zone(zone).grams_per_kwh / 1000;
  return Interval{wh.value * grams, wh.low * grams, wh.high * grams};
}

void summarise_preparation(CellResult& cell) {
  cell.preparation_wh.reset();
  if (const Energy once = preparation_energy(cell); !once.source.empty()) {
    cell.preparation_wh = {once.joules / kJoulesPerWattHour, once.low / kJoulesPerWattHour,
                           once.high / kJoulesPerWattHour};
  }
  cell.load_wh.reset();
  if (const std::vector<Energy> loads = load_energies(cell); !loads.empty())
    cell.load_wh = combine(loads, nullptr);
}

/// All that the kept windows tell beside their energy.
void summarise_windows(CellResult& cell) {
  Energy total;
  std::vector<double> latencies;
  cell.windows = cell.rejected = cell.disturbed = 0;
  cell.peak_memory_bytes = 0;
  for (const Window& window : cell.samples) {
    cell.rejected += window.kind == "queries" && !window.accepted;
    if (!counts(window)) continue;
    ++cell.windows;
    cell.disturbed += !window.remark.empty();
    latencies.insert(latencies.end(), window.latencies_ms.begin(), window.latencies_ms.end());
    cell.peak_memory_bytes = std::max(cell.peak_memory_bytes, window.peak_memory_bytes);
    total = total + window.energy;
  }
  cell.idle_share = total.joules > 0 ? total.idle_joules / total.joules : 0;
  cell.watts = total.seconds > 0 ? total.joules / total.seconds : 0;
  cell.grade = total.grade;
  cell.source = total.source;
  cell.scope = total.scope;
  cell.p50_ms = latencies.empty() ? 0 : quantile(latencies, 0.5);
  cell.p95_ms = latencies.empty() ? 0 : quantile(latencies, 0.95);
}

void summarise_energy(CellResult& cell, std::span<const Energy> samples, const Plan& plan) {
  cell.wh_per_1000.reset(), cell.net_wh_per_1000.reset(), cell.grams_per_1000.reset();
  if (samples.empty()) return;
  cell.wh_per_1000 = combine(samples, &cell.wh_statistical);
  cell.net_wh_per_1000 = net_of(samples);
  cell.grams_per_1000 = grams_of(plan.zone, *cell.wh_per_1000);
  const std::vector<bool> flags = outliers(joules_of(samples));
  cell.outliers = static_cast<int>(std::count(flags.begin(), flags.end(), true));
}

/// By every metric of the plan that is defined for the rows.
void summarise_quality(CellResult& cell, const Results& results) {
  cell.n = static_cast<int64_t>(cell.outputs.size());
  cell.quality.reset();
  cell.metrics.clear();
  for (size_t place = 0; place < results.plan.metrics.size(); ++place) {
    const std::vector<RowScore> scores = row_scores(cell, place);
    if (scores.empty()) continue;
    try {
      cell.metrics[results.plan.metrics[place]] =
          metric_of(results, place)->interval(scores, results.plan.seed);
    } catch (const Error&) {
      // Not defined for these rows: a correlation of equal numbers.
    }
  }
  if (const auto first = cell.metrics.find(results.plan.metrics.front()); first != cell.metrics.end())
    cell.quality = first->second;
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

Energy asking_energy(const Results& results) {
  if (!results.empty) return {};
  const std::map<int, Energy> rounds = gross_by_round(*results.empty);
  return rounds.empty() ? Energy() : mean_energy(values_of(rounds));
}

std::map<int, Energy> energy_by_round(const Results& results, const CellResult& cell) {
  std::map<int, Energy> energies = gross_by_round(cell);
  const Energy asking = asking_energy(results);
  if (asking.source.empty()) return energies;
  for (auto& [round, energy] : energies) energy = difference(energy, asking);
  return energies;
}

Energy preparation_energy(const CellResult& cell) {
  Energy sum;
  for (const Window& window : cell.samples) {
    if (window.kind == "train" || window.kind == "convert" || window.kind == "threshold")
      sum = sum + window.energy;
  }
  return sum;
}

std::vector<Energy> load_energies(const CellResult& cell) {
  std::vector<Energy> loads;
  for (const Window& window : cell.samples) {
    if (window.kind == "load") loads.push_back(window.energy);
  }
  return loads;
}

void summarise(Results& results) {
  // As deal_rows() does: there cannot be more parts than rows.
  const int parts = std::max(1, std::min(results.plan.rounds, static_cast<int>(results.truths.size())));
  if (results.empty) {
    summarise_windows(*results.empty);
    summarise_energy(*results.empty, values_of(gross_by_round(*results.empty)), results.plan);
  }
  for (CellResult& cell : results.cells) {
    summarise_preparation(cell);
    summarise_windows(cell);
    summarise_energy(cell, values_of(energy_by_round(results, cell)), results.plan);
    summarise_quality(cell, results);
    cell.answers_repeat = answers_repeat(cell, parts);
  }
}

}  // namespace wattle::inline study
