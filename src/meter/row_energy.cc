#include "meter/row_energy.h"

#include <numeric>

namespace wattle::inline meter {
namespace {

using PhaseWeights = std::array<double, kPhases.size()>;

/// What each row's phases weigh: the joules of the batch's phase by the row's share of its seconds.
void add_weights(const BatchRecord& batch, std::span<const double> joules,
                 std::vector<PhaseWeights>& weights) {
  PhaseWeights of_phase{};
  for (size_t i = 0; i < batch.stretches.size(); ++i)
    of_phase[static_cast<size_t>(batch.stretches[i].phase)] += joules[i];
  PhaseWeights seconds{};
  for (const Phases& row : batch.rows) {
    for (const Phase phase : kPhases) seconds[static_cast<size_t>(phase)] += row.of(phase);
  }
  for (const Phases& row : batch.rows) {
    PhaseWeights& weight = weights.emplace_back();
    for (const Phase phase : kPhases) {
      const auto p = static_cast<size_t>(phase);
      weight[p] = seconds[p] > 0 ? of_phase[p] * row.of(phase) / seconds[p] : 0;
    }
  }
}

double sum_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

}  // namespace

std::vector<RowEnergy> divide_window(Meter& meter, const Energy& window,
                                     std::span<const BatchRecord> batches) {
  std::vector<Stretch> stretches;
  for (const BatchRecord& batch : batches)
    stretches.insert(stretches.end(), batch.stretches.begin(), batch.stretches.end());
  const std::vector<double> joules = meter.stretch_joules(window, stretches);
  std::vector<PhaseWeights> weights;
  size_t first = 0;
  for (const BatchRecord& batch : batches) {
    add_weights(batch, std::span(joules).subspan(first, batch.stretches.size()), weights);
    first += batch.stretches.size();
  }
  std::vector<double> totals;
  for (const PhaseWeights& row : weights) totals.push_back(sum_of(row));
  // A window whose counter showed nothing has no proportions; its parts are all zero.
  if (!totals.empty() && sum_of(totals) == 0) totals.assign(totals.size(), 1);
  const std::vector<Energy> parts = split(window, totals);
  std::vector<RowEnergy> rows;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (sum_of(weights[i]) == 0) weights[i].front() = 1;
    RowEnergy& row = rows.emplace_back(RowEnergy{parts[i]});
    const std::vector<Energy> phases = split(parts[i], weights[i]);
    for (size_t p = 0; p < phases.size(); ++p) row.phase_joules[p] = phases[p].joules;
  }
  return rows;
}

}  // namespace wattle::inline meter
