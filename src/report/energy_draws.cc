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
  rounds.variance = values.size() > 1 ? variance(values) : 0;
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

/// Gives each cell the variance that its own rounds and those of all tell, and returns the degrees of freedom
/// of it.
int moderate(std::vector<Rounds>& cells, const std::map<int, double>& drift) {
  const auto k = static_cast<double>(std::ranges::count_if(cells, &Rounds::are_logs));
  if (k < 2) {  // nothing tells the cell's own spread from the machine's
    for (Rounds& cell : cells) cell.variance *= cell.are_logs ? 0 : 1;
    return 1;
  }
  double squares = 0, degrees = 0, fewest = INFINITY;
  for (Rounds& cell : cells) {
    if (!cell.are_logs) continue;
    double mean = 0, own = 0;
    for (const auto& [round, value] : cell.values) mean += (value - drift.at(round)) / cell.n();
    for (const auto& [round, value] : cell.values) own += std::pow(value - drift.at(round) - mean, 2);
    const double own_degrees = (cell.n() - 1) * (k - 1) / k;
    cell.variance = own / own_degrees;
    squares += own, degrees += own_degrees, fewest = std::min(fewest, cell.n() - 1);
  }
  for (Rounds& cell : cells) {
    if (!cell.are_logs) continue;
    const double own = cell.n() - 1;
    cell.variance = (kRoundsOfAll * squares / degrees + own * cell.variance) / (kRoundsOfAll + own);
  }
  return std::max(1, static_cast<int>(std::min(degrees, kRoundsOfAll + fewest) + 1e-9));
}

/// sqrt(degrees / chi-squared): what makes a normal variable one of Student's t.
double tail(Random& random, int degrees) {
  double sum = 0;
  for (int i = 0; i < degrees; ++i) {
    const double z = random.normal();
    sum += z * z;
  }
  return std::sqrt(degrees / std::max(sum, 1e-12));
}

}  // namespace

EnergyDraws draw_energies(const Results& results, const std::vector<size_t>& places, int n_draws) {
  std::vector<Rounds> cells;
  size_t fewest = SIZE_MAX;
  for (const size_t place : places) {
    cells.push_back(rounds_of(results, results.cells[place]));
    fewest = std::min(fewest, cells.back().values.size());
  }
  EnergyDraws result;
  if (cells.empty() || fewest < kLeastRepetitions) return result;
  const std::map<int, double> drift = drift_of(cells);
  const int degrees = moderate(cells, drift), degrees_of_rounds = static_cast<int>(fewest) - 1;
  // One stream for the rounds and one for the meters, so that neither depends on how much the other draws.
  Random rounds(results.plan.seed), meters(~results.plan.seed);
  for (int i = 0; i < n_draws; ++i) {
    std::map<int, double> shared;
    for (const auto& [round, of_round] : drift) shared[round] = of_round * rounds.normal();
    const double tail_of_rounds = tail(rounds, degrees_of_rounds), tail_of_cells = tail(rounds, degrees);
    ErrorDraw instruments(meters);
    EnergyDraws::Draw& draw = result.draws.emplace_back();
    for (const Rounds& cell : cells) {
      const double n = cell.n(), own = std::sqrt(cell.variance / n) * rounds.normal();
      if (cell.are_logs) {
        double common = 0;
        for (const auto& [round, value] : cell.values) common += shared[round] / std::sqrt(n * (n - 1));
        const double drawn = cell.mean + tail_of_rounds * common + tail_of_cells * own;
        draw.queries.push_back(std::exp(drawn) * instruments.factor(cell.typical));
      } else {
        const double drawn = cell.mean + tail_of_rounds * own;
        draw.queries.push_back(std::max(0.0, drawn + instruments.shift(cell.typical)));
      }
      draw.once.push_back(cell.once.source.empty() ? 0 : cell.once.joules * instruments.factor(cell.once));
    }
  }
  return result;
}

}  // namespace wattle::inline report
