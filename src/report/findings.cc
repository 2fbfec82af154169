#include "report/findings.h"

#include <cmath>
#include <map>

#include <fmt/format.h>

#include "meter/error_draw.h"
#include "report/format.h"
#include "statistics/comparisons.h"
#include "statistics/distributions.h"
#include "study/scoring.h"
#include "study/summary.h"

namespace wattle::inline report {
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
Ratio energy_of(const Results& results, const Pair& pair) {
  const std::map<int, Energy> base = energy_by_round(results, *pair.base),
                              cell = energy_by_round(results, *pair.cell);
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

/// How the answers of a pair differ, on the rows that both answered.
struct Quality {
  double p = 1;
  bool is_worse = false;
  std::string how;  ///< "5 rows lost, 1 won (McNemar, Holm, 5 %)"
};

/// The scores of both on the same rows.
std::pair<std::vector<RowScore>, std::vector<RowScore>> scores_of(const Pair& pair) {
  const std::vector<RowScore> of_base = row_scores(*pair.base, 0), of_cell = row_scores(*pair.cell, 0);
  std::map<int64_t, size_t> places;
  for (size_t i = 0; i < of_base.size(); ++i) places[pair.base->outputs[i].row] = i;
  std::pair<std::vector<RowScore>, std::vector<RowScore>> both;
  for (size_t i = 0; i < of_cell.size(); ++i) {
    const auto found = places.find(pair.cell->outputs[i].row);
    if (found == places.end()) continue;
    both.first.push_back(of_base[found->second]);
    both.second.push_back(of_cell[i]);
  }
  return both;
}

Quality by_mcnemar(const std::vector<RowScore>& base, const std::vector<RowScore>& cell) {
  int64_t lost = 0, won = 0;
  for (size_t i = 0; i < base.size(); ++i) {
    lost += base[i][0] != 0 && cell[i][0] == 0;
    won += base[i][0] == 0 && cell[i][0] != 0;
  }
  return {mcnemar_test(lost, won), lost > won,
          fmt::format("{} rows lost, {} won (McNemar, Holm, 5 %)", lost, won)};
}

/// The spread of the bootstrap over rows, as of a normal distribution, gives p.
Quality by_bootstrap(const Metric& metric, const std::vector<RowScore>& base,
                     const std::vector<RowScore>& cell, uint64_t seed) {
  const Interval difference = paired_difference(metric, cell, base, seed);
  const double deviation = difference.half() / normal_quantile(0.975);
  if (!(deviation > 0)) return {};
  const bool lower = difference.value < 0;
  return {2 * normal_cdf(-std::abs(difference.value) / deviation), lower == metric.greater_is_better(),
          fmt::format("{} {} by {} (95 % interval {} to {}; bootstrap over rows, Holm, 5 %)",
                      title(metric.name()), lower ? "lower" : "higher",
                      quality_text(metric, std::abs(difference.value)),
                      quality_text(metric, lower ? -difference.high : difference.low),
                      quality_text(metric, lower ? -difference.low : difference.high))};
}

Quality quality_of(const Pair& pair, const Metric& metric, uint64_t seed) {
  const auto [base, cell] = scores_of(pair);
  if (base.empty()) return {};
  return metric.is_proportion() ? by_mcnemar(base, cell) : by_bootstrap(metric, base, cell, seed);
}

}  // namespace

std::vector<std::string> findings(const Results& results) {
  const std::vector<Pair> pairs = pairs_of(results);
  std::vector<Ratio> energies;
  std::vector<Quality> qualities;
  std::vector<double> p_energy, p_quality;
  const auto metric = metric_of(results);
  for (const Pair& pair : pairs) {
    energies.push_back(energy_of(results, pair));
    p_energy.push_back(energies.back().p);
    qualities.push_back(quality_of(pair, *metric, results.plan.seed));
    p_quality.push_back(qualities.back().p);
  }
  p_energy = holm(p_energy), p_quality = holm(p_quality);
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
    if (!(p_quality[i] < 0.05) || !qualities[i].is_worse) continue;
    sentences.push_back(fmt::format("{} is worse than {}: {}.", cell_name(*pairs[i].cell),
                                    pairs[i].base->precision, qualities[i].how));
  }
  return sentences;
}

}  // namespace wattle::inline report
