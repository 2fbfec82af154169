#include "report/energy_draws.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "meter/error_draw.h"
#include "statistics/descriptive.h"
#include "statistics/intervals.h"
#include "statistics/random.h"
#include "study/summary.h"

namespace wattle::inline report {
namespace {

/// One cell's rounds as logarithms; as joules where what asking costs left nothing of a round, or less.
struct Rounds {
  bool are_logs = true;
  double mean = 0;
  std::map<int, double> deviations;  ///< from the mean, divided by sqrt(n (n - 1))
  Energy typical;                    ///< the mean window, for what the meter repeats
  Energy once;                       ///< preparation and one load
};

Rounds rounds_of(const Results& results, const CellResult& cell) {
  Rounds rounds;
  std::vector<Energy> energies;
  std::vector<double> values;
  const std::map<int, Energy> by_round = energy_by_round(results, cell);
  for (const auto& [round, energy] : by_round) rounds.are_logs &= energy.joules > 0;
  for (const auto& [round, energy] : by_round) {
    energies.push_back(energy);
    values.push_back(rounds.are_logs ? std::log(energy.joules) : energy.joules);
    rounds.deviations[round] = values.back();
  }
  rounds.typical = mean_energy(energies);
  rounds.mean = mean(values);
  const auto n = static_cast<double>(values.size());
  for (auto& [round, value] : rounds.deviations)
    value = (value - rounds.mean) / std::sqrt(n * std::max(n - 1, 1.0));
  rounds.once = preparation_energy(cell);
  if (const std::vector<Energy> loads = load_energies(cell); !loads.empty())
    rounds.once = rounds.once + mean_energy(loads);
  return rounds;
}

/// sqrt(degrees / chi-squared) by degrees, up to `most`: what makes a normal variable one of Student's t.
/// Cells with as many rounds have the same tail, because they move together.
std::vector<double> tails(Random& random, size_t most) {
  std::vector<double> scales{0};
  double sum = 0;
  for (size_t degrees = 1; degrees <= most; ++degrees) {
    const double z = random.normal();
    sum += z * z;
    scales.push_back(std::sqrt(static_cast<double>(degrees) / std::max(sum, 1e-12)));
  }
  return scales;
}

}  // namespace

EnergyDraws draw_energies(const Results& results, const std::vector<size_t>& places, int n_draws) {
  std::vector<Rounds> cells;
  int n_rounds = 0;
  size_t fewest = SIZE_MAX, most = 0;
  for (const size_t place : places) {
    cells.push_back(rounds_of(results, results.cells[place]));
    fewest = std::min(fewest, cells.back().deviations.size());
    most = std::max(most, cells.back().deviations.size());
    n_rounds = std::max(n_rounds, cells.back().deviations.rbegin()->first + 1);
  }
  EnergyDraws result;
  if (cells.empty() || fewest < kLeastRepetitions) return result;
  // One stream for the rounds and one for the meters, so that neither depends on how much the other draws.
  Random rounds(results.plan.seed), meters(~results.plan.seed);
  std::vector<double> z(static_cast<size_t>(n_rounds));
  for (int i = 0; i < n_draws; ++i) {
    for (double& one : z) one = rounds.normal();
    const std::vector<double> scales = tails(rounds, most - 1);
    ErrorDraw instruments(meters);
    EnergyDraws::Draw& draw = result.draws.emplace_back();
    for (const Rounds& cell : cells) {
      double shift = 0;
      for (const auto& [round, deviation] : cell.deviations)
        shift += z[static_cast<size_t>(round)] * deviation;
      const double drawn = cell.mean + scales[cell.deviations.size() - 1] * shift;
      draw.queries.push_back(cell.are_logs ? std::exp(drawn) * instruments.factor(cell.typical)
                                           : std::max(0.0, drawn + instruments.shift(cell.typical)));
      draw.once.push_back(cell.once.source.empty() ? 0 : cell.once.joules * instruments.factor(cell.once));
    }
  }
  return result;
}

}  // namespace wattle::inline report
