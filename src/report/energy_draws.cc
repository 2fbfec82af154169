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

/// How many rounds' worth the spread of all cells together weighs beside a cell's own: a few rounds tell a
/// cell's variance badly, and cells of one machine spread alike (Smyth 2004, moderated t).
constexpr double kRoundsOfAll = 4;

/// One cell's rounds as logarithms; as joules where what asking costs left nothing of a round, or less.
struct Rounds {
  bool are_logs = true;
  std::map<int, double> values;
  double mean = 0;
  double variance = 0;  ///< of a round, beyond what all cells of the round share
  size_t degrees = 1;   ///< of freedom, of the variance
  Energy typical;       ///< the mean window, for what the meter repeats
  Energy once;          ///< preparation and one load

  double n() const { return static_cast<double>(values.size()); }
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
    rounds.values[round] = values.back();
  }
  rounds.typical = mean_energy(energies);
  rounds.mean = mean(values);
  if (values.size() > 1) rounds.variance = variance(values), rounds.degrees = values.size() - 1;
  rounds.once = preparation_energy(cell);
  if (const std::vector<Energy> loads = load_energies(cell); !loads.empty())
    rounds.once = rounds.once + mean_energy(loads);
  return rounds;
}

/// What the rounds of all cells share (a drift of the machine), as logarithms by round.
std::map<int, double> drift_of(const std::vector<Rounds>& cells) {
  constexpr int kSweeps = 30;  // one is enough where every cell has every round
  std::map<int, double> drift;
  std::vector<double> means(cells.size());
  for (int sweep = 0; sweep < kSweeps; ++sweep) {
    std::map<int, std::vector<double>> left;
    for (size_t c = 0; c < cells.size(); ++c) {
      if (!cells[c].are_logs) continue;
      means[c] = 0;
      for (const auto& [round, value] : cells[c].values) means[c] += (value - drift[round]) / cells[c].n();
      for (const auto& [round, value] : cells[c].values) left[round].push_back(value - means[c]);
    }
    for (const auto& [round, values] : left) drift[round] = mean(values);
  }
  return drift;
}

/// Gives each cell the variance that its own rounds and those of all tell.
void moderate(std::vector<Rounds>& cells, const std::map<int, double>& drift) {
  const auto k = static_cast<double>(std::ranges::count_if(cells, &Rounds::are_logs));
  if (k < 2) {  // nothing tells the cell's own spread from the machine's
    for (Rounds& cell : cells) cell.variance *= cell.are_logs ? 0 : 1;
    return;
  }
  double squares = 0, degrees = 0;
  for (Rounds& cell : cells) {
    if (!cell.are_logs) continue;
    double mean = 0, own = 0;
    for (const auto& [round, value] : cell.values) mean += (value - drift.at(round)) / cell.n();
    for (const auto& [round, value] : cell.values) own += std::pow(value - drift.at(round) - mean, 2);
    const double own_degrees = (cell.n() - 1) * (k - 1) / k;
    cell.variance = own / own_degrees;
    squares += own, degrees += own_degrees;
  }
  for (Rounds& cell : cells) {
    if (!cell.are_logs) continue;
    const double own = cell.n() - 1;
    cell.variance = (kRoundsOfAll * squares / degrees + own * cell.variance) / (kRoundsOfAll + own);
    cell.degrees = std::max<size_t>(1, static_cast<size_t>(std::min(degrees, kRoundsOfAll + own) + 1e-9));
  }
}

/// sqrt(degrees / chi-squared) by degrees, up to `most`: what makes a normal variable one of Student's t.
/// Cells of as many degrees have the same tail, because they share what tells their spread.
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
  size_t fewest = SIZE_MAX, most = 0;
  for (const size_t place : places) {
    cells.push_back(rounds_of(results, results.cells[place]));
    fewest = std::min(fewest, cells.back().values.size());
    most = std::max(most, cells.back().values.size());
  }
  EnergyDraws result;
  if (cells.empty() || fewest < kLeastRepetitions) return result;
  const std::map<int, double> drift = drift_of(cells);
  moderate(cells, drift);
  for (const Rounds& cell : cells) most = std::max(most, cell.degrees + 1);
  // One stream for the rounds and one for the meters, so that neither depends on how much the other draws.
  Random rounds(results.plan.seed), meters(~results.plan.seed);
  for (int i = 0; i < n_draws; ++i) {
    std::map<int, double> shared;
    for (const auto& [round, of_round] : drift) shared[round] = of_round * rounds.normal();
    const std::vector<double> of_rounds = tails(rounds, most - 1), of_cells = tails(rounds, most - 1);
    ErrorDraw instruments(meters);
    EnergyDraws::Draw& draw = result.draws.emplace_back();
    for (const Rounds& cell : cells) {
      const double n = cell.n(), own = std::sqrt(cell.variance / n) * rounds.normal();
      if (cell.are_logs) {
        double common = 0;
        for (const auto& [round, value] : cell.values) common += shared[round] / std::sqrt(n * (n - 1));
        const double drawn =
            cell.mean + of_rounds[cell.values.size() - 1] * common + of_cells[cell.degrees] * own;
        draw.queries.push_back(std::exp(drawn) * instruments.factor(cell.typical));
      } else {
        const double drawn = cell.mean + of_cells[cell.degrees] * own;
        draw.queries.push_back(std::max(0.0, drawn + instruments.shift(cell.typical)));
      }
      draw.once.push_back(cell.once.source.empty() ? 0 : cell.once.joules * instruments.factor(cell.once));
    }
  }
  return result;
}

}  // namespace wattle::inline report
