#include "report/race_evidence.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "meter/error_draw.h"
#include "statistics/descriptive.h"
#include "statistics/distributions.h"
#include "statistics/intervals.h"
#include "statistics/random.h"
#include "study/scoring.h"
#include "study/summary.h"

namespace wattle::inline report {
namespace {

constexpr int kRowDraws = 500, kInstrumentDraws = 500;
constexpr double kMostRows = 10'000'000;
// The least that is left of a window net of asking, as a share of the cell's greatest: logarithms need more
// than nothing.
constexpr double kLeastWindow = 0.05;

/// Probability of at least `k` of `n` where each has `p`.
double at_least_so_many(int64_t k, int64_t n, double p) {
  if (k <= 0) return 1;
  return beta_cdf(p, static_cast<double>(k), static_cast<double>(n - k + 1));
}

/// The `p` in [0, 1] at which a function that grows in it passes `target`.
double inverse(const std::function<double(double)>& grows, double target) {
  double low = 0, high = 1;
  for (int i = 0; i < 60; ++i) (grows((low + high) / 2) < target ? low : high) = (low + high) / 2;
  return (low + high) / 2;
}

/// Bounds of a proportion (Clopper and Pearson 1934), each wrong with probability `alpha` at most.
double lower_bound_of(int64_t k, int64_t n, double alpha) {
  return k == 0 ? 0 : inverse([&](double p) { return at_least_so_many(k, n, p); }, alpha);
}
double upper_bound_of(int64_t k, int64_t n, double alpha) {
  return 1 - lower_bound_of(n - k, n, alpha);
}

std::optional<int64_t> more_than(double needed, size_t n) {
  if (!(needed < kMostRows)) return std::nullopt;
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(needed)) - static_cast<int64_t>(n));
}

}  // namespace

QualityEvidence::QualityEvidence(const Results& results, const std::vector<size_t>& places)
    : metric_(metric_of(results)),
      sign_(metric_->greater_is_better() ? 1 : -1),
      n_rows_(results.truths.size()) {
  for (const size_t place : places) {
    const CellResult& cell = results.cells[place];
    values_.push_back(cell.quality ? sign_ * cell.quality->value : NAN);
    scored_.emplace_back(cell, n_rows_);
  }
  if (!metric_->is_proportion() && !places.empty())
    draws_.emplace(*metric_, sign_, scored_, results.plan.seed, kRowDraws);
}

double QualityEvidence::value(size_t i) const {
  return values_[i];
}

bool QualityEvidence::below(size_t i, double bar, double alpha) const {
  if (!draws_) {
    const auto n = static_cast<int64_t>(rows(i)), wrong = n - scored_[i].right();
    return n > 0 && at_least_so_many(wrong, n, 1 - bar) <= alpha;
  }
  if (rows(i) < kFewestRows) return false;
  const double t = student_t_quantile(1 - alpha, static_cast<double>(rows(i)) - 1);
  return values_[i] + t * draws_->deviation(i) < turned(bar);
}

bool QualityEvidence::reaches(size_t i, double bar, double alpha) const {
  if (!draws_) {
    const auto n = static_cast<int64_t>(rows(i));
    return n > 0 && at_least_so_many(scored_[i].right(), n, bar) <= alpha;
  }
  if (rows(i) < kFewestRows) return false;
  const double t = student_t_quantile(1 - alpha, static_cast<double>(rows(i)) - 1);
  return values_[i] - t * draws_->deviation(i) >= turned(bar);
}

QualityEvidence::Pair QualityEvidence::pair(size_t a, size_t b) const {
  Pair pair;
  for (size_t row = 0; row < n_rows_; ++row) {
    const int64_t of_a = scored_[a].place_of_row[row], of_b = scored_[b].place_of_row[row];
    if (of_a < 0 || of_b < 0) continue;
    ++pair.n;
    if (!metric_->is_proportion()) continue;
    const bool a_right = scored_[a].scores[static_cast<size_t>(of_a)][0] != 0;
    const bool b_right = scored_[b].scores[static_cast<size_t>(of_b)][0] != 0;
    pair.only_a += a_right && !b_right;
    pair.only_b += b_right && !a_right;
  }
  return pair;
}

bool QualityEvidence::not_worse(size_t a, size_t b, double margin, double alpha) const {
  const Pair both = pair(a, b);
  if (both.n == 0) return false;
  if (draws_) {
    if (static_cast<size_t>(both.n) < kFewestRows) return false;
    const double t = student_t_quantile(1 - alpha, static_cast<double>(both.n) - 1);
    return values_[a] - values_[b] - t * draws_->deviation(a, b) > -margin;
  }
  // Without a margin the rows on which they differ say all there is to say (McNemar's exact test).
  if (margin <= 0) return at_least_so_many(both.only_a, both.only_a + both.only_b, 0.5) <= alpha;
  return upper_bound_of(both.only_b, both.n, alpha / 2) - lower_bound_of(both.only_a, both.n, alpha / 2) <
         margin;
}

bool QualityEvidence::is_complete(size_t i) const {
  return rows(i) >= n_rows_;
}

std::optional<int64_t> QualityEvidence::rows_for_bar(size_t i, double bar, double alpha) const {
  const auto n = static_cast<double>(rows(i));
  const double z = normal_quantile(1 - alpha), away = values_[i] - turned(bar);
  const double of_one_row =
      draws_ ? n * draws_->deviation(i) * draws_->deviation(i) : values_[i] * (1 - values_[i]);
  return more_than(z * z * of_one_row / (away * away), rows(i));
}

std::optional<int64_t> QualityEvidence::rows_for_pair(size_t a, size_t b, double margin, double alpha) const {
  const Pair both = pair(a, b);
  if (both.n == 0) return std::nullopt;
  const auto n = static_cast<double>(both.n);
  const double z = normal_quantile(1 - alpha), room = values_[a] - values_[b] + margin;
  if (room <= 0) return std::nullopt;
  double of_one_row = 0;
  if (draws_) {
    of_one_row = n * draws_->deviation(a, b) * draws_->deviation(a, b);
  } else {
    const double differ = static_cast<double>(both.only_a + both.only_b) / n,
                 mean = static_cast<double>(both.only_a - both.only_b) / n;
    of_one_row = differ - mean * mean;
  }
  // Of rows without any difference so many tell that one in 1 / room differs at most.
  const double least = std::log(1 / alpha) / room;
  return more_than(std::max(least, z * z * of_one_row / (room * room)), static_cast<size_t>(both.n));
}

EnergyEvidence::EnergyEvidence(const Results& results, const std::vector<size_t>& places)
    : factors_(places.size()) {
  std::vector<Energy> typical;
  for (const size_t place : places) {
    const std::map<int, Energy> by_round = energy_by_round(results, results.cells[place]);
    std::vector<Energy> energies;
    double most = 1e-300;
    for (const auto& [round, energy] : by_round) most = std::max(most, energy.joules);
    std::map<int, double>& logs = logs_.emplace_back();
    for (const auto& [round, energy] : by_round) {
      logs[round] = std::log(std::max(energy.joules, kLeastWindow * most));
      energies.push_back(energy);
    }
    typical.push_back(energies.empty() ? Energy() : mean_energy(energies));
  }
  Random random(~results.plan.seed);
  for (int draw = 0; draw < kInstrumentDraws; ++draw) {
    ErrorDraw instruments(random);
    for (size_t i = 0; i < places.size(); ++i)
      factors_[i].push_back(std::log(std::max(instruments.factor(typical[i]), kLeastWindow)));
  }
}

EnergyEvidence::Difference EnergyEvidence::difference(size_t a, size_t b) const {
  std::vector<double> differences;
  for (const auto& [round, log] : logs_[a]) {
    const auto other = logs_[b].find(round);
    if (other != logs_[b].end()) differences.push_back(log - other->second);
  }
  if (differences.empty()) return {NAN, 0, 0};
  return {mean(differences), std::sqrt(variance(differences)), differences.size()};
}

double EnergyEvidence::of_instruments(size_t a, size_t b, double alpha) const {
  std::vector<double> differences;
  for (size_t draw = 0; draw < factors_[a].size(); ++draw)
    differences.push_back(factors_[a][draw] - factors_[b][draw]);
  return normal_quantile(1 - alpha / 2) * std::sqrt(variance(differences));
}

double EnergyEvidence::log_ratio(size_t a, size_t b) const {
  return difference(a, b).mean;
}

double EnergyEvidence::at_least(size_t a, size_t b, double alpha) const {
  const Difference seen = difference(a, b);
  if (seen.n < kLeastRepetitions) return -INFINITY;
  const auto n = static_cast<double>(seen.n);
  const double t = student_t_quantile(1 - alpha / 2, n - 1);
  return seen.mean - t * seen.deviation / std::sqrt(n) - of_instruments(a, b, alpha);
}

double EnergyEvidence::at_most_after(size_t a, size_t b, double alpha, int rounds) const {
  const Difference seen = difference(a, b);
  if (seen.n < kLeastRepetitions) return -INFINITY;
  const double n = std::max<double>(static_cast<double>(seen.n), rounds);
  const double t = student_t_quantile(1 - alpha / 2, n - 1);
  return seen.mean + t * seen.deviation / std::sqrt(n) + of_instruments(a, b, alpha);
}

}  // namespace wattle::inline report
