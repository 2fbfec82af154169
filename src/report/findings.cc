#include "report/findings.h"

#include <cmath>
#include <map>

#include <fmt/format.h>

#include "meter/error_draw.h"
#include "report/format.h"
#include "statistics/comparisons.h"
#include "study/summary.h"

namespace wattle {
namespace {

/// A cell and the first of its rung, which has the same name at another precision.
struct Pair {
  const CellResult* base;
  const CellResult* cell;
};

std::vector<Pair> pairs_of(const Results& results) {
  std::map<std::string, const CellResult*> first_of;
  std::vector<Pair> pairs;
  for (const CellResult& cell : results.cells) {
    if (!cell.wh_per_1000 || !cell.quality) continue;
    const auto [entry, is_first] = first_of.emplace(cell.rung, &cell);
    if (!is_first) pairs.push_back({entry->second, &cell});
  }
  return pairs;
}

/// Of the rounds that both have.
Ratio energy_of(const Pair& pair) {
  const std::map<int, Energy> base = energy_by_round(*pair.base), cell = energy_by_round(*pair.cell);
  std::vector<Energy> ours, theirs;
  for (const auto& [round, energy] : cell) {
    const auto found = base.find(round);
    if (found == base.end()) continue;
    ours.push_back(energy), theirs.push_back(found->second);
  }
  Ratio unknown;
  unknown.p = NAN;
  return ours.empty() ? unknown : energy_ratio(ours, theirs, true);
}

/// Rows that one of two cells answers rightly and the other does not.
struct Disagreement {
  int64_t only_base = 0, only_cell = 0;
};

Disagreement disagreement_of(const Pair& pair) {
  std::map<int64_t, bool> right;
  for (const Output& output : pair.base->outputs) right[output.row] = output.truth == output.answer;
  Disagreement result;
  for (const Output& output : pair.cell->outputs) {
    const auto found = right.find(output.row);
    if (found == right.end()) continue;
    const bool cell_is_right = output.truth == output.answer;
    result.only_base += found->second && !cell_is_right;
    result.only_cell += !found->second && cell_is_right;
  }
  return result;
}

}  // namespace

std::vector<std::string> findings(const Results& results) {
  const std::vector<Pair> pairs = pairs_of(results);
  std::vector<Ratio> energies;
  std::vector<Disagreement> rows;
  std::vector<double> p_energy, p_rows;
  for (const Pair& pair : pairs) {
    energies.push_back(energy_of(pair));
    p_energy.push_back(energies.back().p);
    rows.push_back(disagreement_of(pair));
    p_rows.push_back(mcnemar_test(rows.back().only_base, rows.back().only_cell));
  }
  p_energy = holm(p_energy), p_rows = holm(p_rows);
  std::vector<std::string> sentences;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const Ratio& ratio = energies[i];
    if (!(p_energy[i] < 0.05) || ratio.value <= 1) continue;
    sentences.push_back(fmt::format("{} costs {} times the energy of {} (95 % interval {} to {}).",
                                    cell_name(*pairs[i].cell), significant(ratio.value, 3),
                                    pairs[i].base->precision, significant(ratio.low, 3),
                                    significant(ratio.high, 3)));
  }
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (p_rows[i] >= 0.05 || rows[i].only_base <= rows[i].only_cell) continue;
    sentences.push_back(fmt::format("{} is worse than {}: {} rows lost, {} won (McNemar, Holm, 5 %).",
                                    cell_name(*pairs[i].cell), pairs[i].base->precision, rows[i].only_base,
                                    rows[i].only_cell));
  }
  return sentences;
}

}  // namespace wattle
