#include "report/advice.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <wattle/error.h>

#include "report/energy_draws.h"
#include "report/format.h"
#include "statistics/descriptive.h"
#include "statistics/distributions.h"
#include "statistics/intervals.h"
#include "statistics/random.h"
#include "study/metrics.h"

namespace wattle {
namespace {

constexpr int kDraws = 2000;
constexpr double kRounding = 1e-12;       // 0.9 of 1,000 rows must reach a bar of 0.9
constexpr double kMostRows = 10'000'000;  // a number of rows beyond this tells nobody anything

bool is_comparable(const CellResult& cell) {
  return cell.error.empty() && cell.quality && cell.wh_per_1000 && cell.wh_per_1000->value > 0;
}

/// Right answers of a cell, and how many rows have any.
struct Right {
  int64_t right = 0, n = 0;
};

Right right_of(const CellResult& cell) {
  const auto right = std::count_if(cell.outputs.begin(), cell.outputs.end(),
                                   [](const Output& output) { return output.truth == output.answer; });
  return {right, static_cast<int64_t>(cell.outputs.size())};
}

/// Qualities of the comparable cells when rows are drawn with replacement, the same for all.
class QualityDraws {
 public:
  QualityDraws(const Results& results, const std::vector<size_t>& places) : n_cells_(places.size()) {
    const auto n_rows = static_cast<int64_t>(results.truth.size());
    std::vector<std::vector<Output>> by_row;
    for (const size_t place : places) {
      by_row.emplace_back(results.truth.size(), Output{-1, 0, 0});
      for (const Output& output : results.cells[place].outputs) by_row.back()[output.row] = output;
    }
    Random random(results.plan.seed);
    std::vector<int64_t> rows(results.truth.size());
    std::vector<Output> outputs;
    for (int i = 0; i < kDraws; ++i) {
      for (int64_t& row : rows) row = random.below(n_rows);
      for (const auto& answers : by_row) {
        outputs.clear();
        for (const int64_t row : rows) {
          if (answers[row].row >= 0) outputs.push_back(answers[row]);
        }
        values_.push_back(results.plan.metric == Metric::kAccuracy
                              ? accuracy(outputs)
                              : macro_f1(outputs, static_cast<int>(results.labels.size())));
      }
    }
  }

  double at(int draw, size_t cell) const { return values_[static_cast<size_t>(draw) * n_cells_ + cell]; }
  double best(int draw) const {
    double most = 0;
    for (size_t cell = 0; cell < n_cells_; ++cell) most = std::max(most, at(draw, cell));
    return most;
  }

 private:
  size_t n_cells_;
  std::vector<double> values_;
};

/// The first question: what is reached on rows that were not asked.
class Bar {
 public:
  Bar(const Results& results, const Requirements& wanted, const std::vector<size_t>& places)
      : results_(results), wanted_(wanted), places_(places) {
    for (size_t i = 0; i < places.size(); ++i) {
      if (i == 0 || quality(i) > quality(best_)) best_ = i;
    }
    if (!wanted.quality || results.plan.metric != Metric::kAccuracy) draws_.emplace(results, places);
  }

  size_t best() const { return best_; }
  double quality(size_t i) const { return results_.cells[places_[i]].quality->value; }
  double value() const {
    return wanted_.quality ? *wanted_.quality
                           : quality(best_) - wanted_.drop.value_or(wanted_.margin.value_or(0));
  }

  /// Whether the estimates reach it; for a margin, whether the paired interval does.
  bool reached(size_t i) const {
    if (quality(i) < value() - kRounding) return false;
    if (!wanted_.margin) return true;
    std::vector<double> differences;
    for (int draw = 0; draw < kDraws; ++draw)
      differences.push_back(draws_->at(draw, i) - draws_->at(draw, best_));
    return quantile(differences, 0.025) >= -*wanted_.margin;
  }

  /// The probability that cell `i` truly reaches a bar that is lower by `less` than the one asked for.
  double probability(size_t i, double less = 0) const {
    if (!draws_) {
      const Right rows = right_of(results_.cells[places_[i]]);
      return probability_at_least(value() - less, rows.right, rows.n);
    }
    int reached = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      const double bar = wanted_.quality
                             ? *wanted_.quality
                             : draws_->best(draw) - wanted_.drop.value_or(wanted_.margin.value_or(0));
      reached += draws_->at(draw, i) >= bar - less - kRounding;
    }
    return static_cast<double>(reached) / kDraws;
  }

 private:
  const Results& results_;
  const Requirements& wanted_;
  const std::vector<size_t>& places_;
  std::optional<QualityDraws> draws_;
  size_t best_ = 0;
};

/// Probability that the next round stays within `limit`; the rounds alone say how they vary.
double probability_within(const std::vector<double>& rounds, double limit) {
  std::vector<double> logs;
  for (const double value : rounds) logs.push_back(std::log(std::max(value, 1e-300)));
  const double n = static_cast<double>(logs.size());
  const double room = std::log(limit) - mean(logs), spread = std::sqrt(variance(logs) * (1 + 1 / n));
  if (logs.size() < kLeastRepetitions || spread < 1e-12) return room >= 0 ? 1 : 0;
  return student_t_cdf(room / spread, n - 1);
}

Candidate with_limits(const CellResult& cell, size_t place, const Requirements& wanted) {
  std::vector<double> p95, memory;
  for (const Window& window : cell.samples) {
    if (window.kind != "queries" || !window.accepted) continue;
    if (!window.latencies_ms.empty()) p95.push_back(quantile(window.latencies_ms, 0.95));
    memory.push_back(static_cast<double>(window.peak_memory_bytes));
  }
  Candidate candidate;
  candidate.place = place;
  if (wanted.p95_ms && !p95.empty()) candidate.p95_kept = probability_within(p95, *wanted.p95_ms);
  if (wanted.memory_bytes && !memory.empty())
    candidate.memory_kept = probability_within(memory, static_cast<double>(*wanted.memory_bytes));
  return candidate;
}

bool meets_limits(const CellResult& cell, const Requirements& wanted) {
  return (!wanted.p95_ms || cell.p95_ms <= *wanted.p95_ms) &&
         (!wanted.memory_bytes || cell.peak_memory_bytes <= *wanted.memory_bytes);
}

/// Rows beyond those asked after which an accuracy as seen would lie surely on its side of the bar.
std::optional<int64_t> more_rows(const CellResult& cell, double bar) {
  const Right rows = right_of(cell);
  const double p = cell.quality->value, z = normal_quantile(kSure);
  const double needed = z * z * p * (1 - p) / ((p - bar) * (p - bar));
  if (!(needed < kMostRows)) return std::nullopt;
  return std::max<int64_t>(0, static_cast<int64_t>(std::ceil(needed)) - rows.n);
}

/// Fills in what is sure, and what would be.
void answer_bar(const Results& results, const Bar& bar, const std::vector<size_t>& places,
                const std::vector<double>& limits, Advice& advice) {
  const auto n_sure = [&](double less) {
    int n = 0;
    for (size_t i = 0; i < places.size(); ++i) n += bar.probability(i, less) * limits[i] >= kSure;
    return n;
  };
  for (size_t i = 0; i < places.size(); ++i)
    advice.most_sure = std::max(advice.most_sure, bar.probability(i) * limits[i]);
  advice.n_sure = n_sure(0);
  constexpr double kStep = 0.01;
  for (int step = 1; advice.n_sure == 0 && step <= 20 && advice.bar > step * kStep; ++step) {
    // Bars that one says aloud: 0.89 below 0.895.
    const double lower = std::ceil(advice.bar / kStep - kRounding) * kStep - step * kStep;
    advice.n_sure_below = n_sure(advice.bar - lower);
    if (advice.n_sure_below == 0) continue;
    advice.sure_bar = lower;
    break;
  }
  const auto sure = std::find_if(advice.candidates.begin(), advice.candidates.end(),
                                 [](const Candidate& candidate) { return candidate.sure >= kSure; });
  if (!advice.choice) return;
  const auto chosen = std::find_if(advice.candidates.begin(), advice.candidates.end(),
                                   [&](const Candidate& one) { return one.place == *advice.choice; });
  if (chosen->sure >= kSure) return;
  if (sure != advice.candidates.end()) advice.sure_choice = sure->place;
  if (results.plan.metric == Metric::kAccuracy)
    advice.rows_to_decide = more_rows(results.cells[*advice.choice], advice.bar);
}

/// The smallest of the candidates that were measured near the cheapest. They come cheapest first.
void choose(const Results& results, const Requirements& wanted, Advice& advice) {
  const auto wh = [&](size_t place) { return results.cells[place].wh_per_1000->value; };
  const auto memory = [&](size_t place) { return results.cells[place].peak_memory_bytes; };
  const double most = wh(advice.candidates.front().place) * (1 + wanted.within);
  for (const Candidate& candidate : advice.candidates) {
    if (wh(candidate.place) <= most) advice.equals.push_back(candidate.place);
  }
  const auto smallest = std::min_element(advice.equals.begin(), advice.equals.end(),
                                         [&](size_t a, size_t b) { return memory(a) < memory(b); });
  std::rotate(advice.equals.begin(), smallest, smallest + 1);
  advice.choice = advice.equals.front();
}

double queries_to_break_even(const EnergyDraws::Draw& draw, size_t choice, size_t other) {
  const double saved = (draw.queries[other] - draw.queries[choice]) / 1000;
  const double extra = draw.once[choice] - draw.once[other];
  if (extra <= 0 && saved >= 0) return 0;
  if (saved <= 0) return std::numeric_limits<double>::infinity();
  return std::max(0.0, extra / saved);
}

/// An order statistic, because values between a number and infinity are none.
double at_share(std::vector<double> values, double share) {
  const auto rank = static_cast<size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(rank), values.end());
  return values[rank];
}

void answer_costs(const Results& results, Advice& advice) {
  std::vector<size_t> places;
  for (const Candidate& candidate : advice.candidates) places.push_back(candidate.place);
  const auto choice =
      static_cast<size_t>(std::find(places.begin(), places.end(), *advice.choice) - places.begin());
  const EnergyDraws draws = draw_energies(results, places, kDraws);
  if (draws.draws.empty()) return;
  std::vector<double> regrets;
  for (const auto& draw : draws.draws) {
    const double least = *std::min_element(draw.queries.begin(), draw.queries.end());
    regrets.push_back(draw.queries[choice] / std::max(least, 1e-300) - 1);
  }
  advice.regret = quantile(regrets, 0.95);
  for (size_t i = 0; i < places.size(); ++i) {
    if (i == choice) continue;
    std::vector<double> queries;
    for (const auto& draw : draws.draws) queries.push_back(queries_to_break_even(draw, choice, i));
    advice.break_even.push_back(
        {places[i], {at_share(queries, 0.5), at_share(queries, 0.025), at_share(queries, 0.975)}});
  }
}

}  // namespace

std::vector<size_t> pareto_front(const Results& results) {
  std::vector<size_t> order;
  for (size_t place = 0; place < results.cells.size(); ++place) {
    if (is_comparable(results.cells[place])) order.push_back(place);
  }
  const auto wh = [&](size_t place) { return results.cells[place].wh_per_1000->value; };
  const auto score = [&](size_t place) { return results.cells[place].quality->value; };
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return wh(a) != wh(b) ? wh(a) < wh(b) : score(a) > score(b); });
  std::vector<size_t> front;
  for (const size_t place : order) {
    if (front.empty() || score(place) > score(front.back())) front.push_back(place);
  }
  return front;
}

Advice advise(const Results& results, const Requirements& wanted) {
  if (wanted.quality.has_value() + wanted.drop.has_value() + wanted.margin.has_value() != 1) {
    fail(
        "the advice needs one bar: a least quality, a greatest drop from the best, or a margin of "
        "non-inferiority");
  }
  Advice advice;
  advice.front = pareto_front(results);
  std::vector<size_t> places;
  for (size_t place = 0; place < results.cells.size(); ++place) {
    if (is_comparable(results.cells[place])) places.push_back(place);
  }
  if (places.empty()) return advice;
  const Bar bar(results, wanted, places);
  advice.best = places[bar.best()];
  advice.bar = bar.value();
  std::vector<double> limits;
  for (size_t i = 0; i < places.size(); ++i) {
    const CellResult& cell = results.cells[places[i]];
    Candidate candidate = with_limits(cell, places[i], wanted);
    limits.push_back(candidate.p95_kept * candidate.memory_kept);
    candidate.sure = bar.probability(i) * limits.back();
    if (meets_limits(cell, wanted) && bar.reached(i)) advice.candidates.push_back(candidate);
  }
  std::stable_sort(
      advice.candidates.begin(), advice.candidates.end(), [&](const Candidate& a, const Candidate& b) {
        return results.cells[a.place].wh_per_1000->value < results.cells[b.place].wh_per_1000->value;
      });
  if (!advice.candidates.empty()) choose(results, wanted, advice);
  answer_bar(results, bar, places, limits, advice);
  if (advice.choice) answer_costs(results, advice);
  return advice;
}

}  // namespace wattle
