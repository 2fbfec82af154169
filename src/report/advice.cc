#include "report/advice.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <wattle/error.h>

#include "report/energy_draws.h"
#include "report/format.h"
#include "report/quality_draws.h"
#include "statistics/descriptive.h"
#include "statistics/distributions.h"
#include "statistics/intervals.h"
#include "study/scoring.h"

namespace wattle::inline report {
namespace {

constexpr int kDraws = 2000;
constexpr double kRounding = 1e-12;  // 0.9 of 1,000 rows must reach a bar of 0.9
constexpr double kJoulesPerWattHour = 3600;
constexpr double kMostRows = 10'000'000;  // a number of rows beyond this tells nobody anything

bool is_comparable(const CellResult& cell) {
  return cell.error.empty() && cell.quality && cell.wh_per_1000;
}

/// The first question: what is reached on rows that were not asked. Inside, values are turned so that greater
/// is better: a perplexity of 12 is -12.
class Bar {
 public:
  Bar(const Results& results, const Requirements& wanted, const std::vector<size_t>& places)
      : results_(results),
        wanted_(wanted),
        places_(places),
        metric_(metric_of(results)),
        sign_(metric_->greater_is_better() ? 1 : -1) {
    for (size_t i = 0; i < places.size(); ++i) {
      scored_.emplace_back(results.cells[places[i]], results.truths.size());
      if (i == 0 || turned(i) > turned(best_)) best_ = i;
    }
    if (!wanted.quality || !metric_->is_proportion())
      draws_.emplace(*metric_, sign_, scored_, results.plan.seed, kDraws);
  }

  size_t best() const { return best_; }
  const Metric& metric() const { return *metric_; }
  double value() const { return sign_ * turned_bar(); }

  /// Whether the estimates reach it; for a margin, whether the paired interval does.
  bool reached(size_t i) const {
    if (turned(i) < turned_bar() - kRounding) return false;
    if (!wanted_.margin) return true;
    std::vector<double> differences;
    for (int draw = 0; draw < kDraws; ++draw)
      differences.push_back(draws_->at(draw, i) - draws_->at(draw, best_));
    return quantile(differences, 0.025) >= -*wanted_.margin;
  }

  /// The probability that cell `i` truly reaches a bar that is easier by `less` than the one asked for.
  double probability(size_t i, double less = 0) const {
    if (!draws_) {
      const auto n = static_cast<int64_t>(scored_[i].scores.size());
      return probability_at_least(turned_bar() - less, scored_[i].right(), n);
    }
    int reached = 0;
    for (int draw = 0; draw < kDraws; ++draw) {
      const double bar = wanted_.quality
                             ? turned_bar()
                             : draws_->best(draw) - wanted_.drop.value_or(wanted_.margin.value_or(0));
      reached += draws_->at(draw, i) >= bar - less - kRounding;
    }
    return static_cast<double>(reached) / kDraws;
  }

  /// Rows beyond those asked after which a value as seen would lie surely on its side of the bar.
  std::optional<int64_t> more_rows(size_t i) const {
    if (!wanted_.quality) return std::nullopt;
    const auto n = static_cast<double>(scored_[i].scores.size());
    const double q = turned(i), z = normal_quantile(kSure);
    const double of_one_row = draws_ ? draws_->deviation(i) * draws_->deviation(i) * n : q * (1 - q);
    const double needed = z * z * of_one_row / ((q - turned_bar()) * (q - turned_bar()));
    if (!(needed < kMostRows)) return std::nullopt;
    return std::max<int64_t>(0, static_cast<int64_t>(std::ceil(needed) - n));
  }

 private:
  double turned(size_t i) const { return sign_ * results_.cells[places_[i]].quality->value; }
  double turned_bar() const {
    return wanted_.quality ? sign_ * *wanted_.quality
                           : turned(best_) - wanted_.drop.value_or(wanted_.margin.value_or(0));
  }

  const Results& results_;
  const Requirements& wanted_;
  const std::vector<size_t>& places_;
  std::unique_ptr<const Metric> metric_;
  double sign_;
  std::vector<Scored> scored_;
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

/// Bars that one says aloud: 0.89 below 0.895, 21 above 20.3.
double step_of(const Metric& metric, double bar) {
  if (is_share(metric) || bar == 0) return 0.01;
  return std::pow(10, std::floor(std::log10(std::abs(bar))) - 1);
}

/// The `n`-th spoken bar that is easier than the one asked for, and by how much.
double spoken(const Bar& bar, int n, double* less) {
  const double step = step_of(bar.metric(), bar.value());
  const double places = bar.value() / step;
  const double turned = bar.metric().greater_is_better() ? std::ceil(places - kRounding) - n
                                                         : std::floor(places + kRounding) + n;
  *less = std::abs(turned * step - bar.value());
  return turned * step;
}

/// Fills in what is sure, and what would be.
void answer_bar(const Bar& bar, const std::vector<size_t>& places, const std::vector<double>& limits,
                Advice& advice) {
  const auto n_sure = [&](double less) {
    int n = 0;
    for (size_t i = 0; i < places.size(); ++i) n += bar.probability(i, less) * limits[i] >= kSure;
    return n;
  };
  for (size_t i = 0; i < places.size(); ++i)
    advice.most_sure = std::max(advice.most_sure, bar.probability(i) * limits[i]);
  advice.n_sure = n_sure(0);
  for (int step = 1; advice.n_sure == 0 && step <= 20; ++step) {
    double less = 0;
    const double easier = spoken(bar, step, &less);
    if (is_share(bar.metric()) && (easier <= 0 || easier >= 1)) break;
    advice.n_sure_below = n_sure(less);
    if (advice.n_sure_below == 0) continue;
    advice.sure_bar = easier;
    break;
  }
  const auto sure = std::find_if(advice.candidates.begin(), advice.candidates.end(),
                                 [](const Candidate& candidate) { return candidate.sure >= kSure; });
  if (!advice.choice) return;
  const auto chosen = std::find_if(advice.candidates.begin(), advice.candidates.end(),
                                   [&](const Candidate& one) { return one.place == *advice.choice; });
  if (chosen->sure >= kSure) return;
  if (sure != advice.candidates.end()) advice.sure_choice = sure->place;
  const auto place = std::find(places.begin(), places.end(), *advice.choice) - places.begin();
  advice.rows_to_decide = bar.more_rows(static_cast<size_t>(place));
}

/// The smallest of the candidates that were measured near the cheapest. They come cheapest first.
void choose(const Results& results, const Requirements& wanted, Advice& advice) {
  const auto wh = [&](size_t place) { return results.cells[place].wh_per_1000->value; };
  const auto memory = [&](size_t place) { return results.cells[place].peak_memory_bytes; };
  const Interval& cheapest = *results.cells[advice.candidates.front().place].wh_per_1000;
  const double most = cheapest.value > 0   ? cheapest.value * (1 + wanted.within)
                      : cheapest.bounded() ? cheapest.high
                                           : 0;
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
  std::vector<double> regrets, joules;
  for (const auto& draw : draws.draws) {
    const double least = *std::min_element(draw.queries.begin(), draw.queries.end());
    joules.push_back(draw.queries[choice] - least);
    regrets.push_back(joules.back() > 0 ? joules.back() / least : 0);
  }
  advice.regret = at_share(regrets, 0.95);
  advice.regret_wh = at_share(joules, 0.95) / kJoulesPerWattHour;
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
  const double sign = metric_of(results)->greater_is_better() ? 1 : -1;
  const auto score = [&](size_t place) { return sign * results.cells[place].quality->value; };
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
  answer_bar(bar, places, limits, advice);
  if (advice.choice) answer_costs(results, advice);
  return advice;
}

}  // namespace wattle::inline report
