#include "report/advice.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <wattle/error.h>

#include "report/format.h"
#include "statistics/descriptive.h"
#include "statistics/random.h"
#include "study/metrics.h"

namespace wattle {
namespace {

constexpr int kDraws = 2000;
constexpr double kClear = 0.95;
constexpr double kLeastDoubt = 0.03;  // of the ratio of two cells' modelled power at equal power
constexpr double kDoubtOfDifference =
    0.5;  // part of a modelled difference in power that may be the model's fault
constexpr double kNever = std::numeric_limits<double>::infinity();

bool is_comparable(const CellResult& cell) {
  return cell.error.empty() && cell.quality && cell.wh_per_1000 && cell.wh_per_1000->value > 0;
}

/// One comparable cell, ready for resampling.
struct Candidate {
  size_t place = 0;
  double quality = 0;
  std::vector<Output> outputs;  ///< by row; of a row without an answer: `row` is negative
  std::map<int, double> wh_of_round;
  double doubt = 0;  ///< standard deviation of the logarithm of its own factor
};

class Comparison {
 public:
  explicit Comparison(const Results& results) : results_(results) {
    for (size_t place = 0; place < results.cells.size(); ++place) {
      if (is_comparable(results.cells[place])) add(place);
    }
    set_doubts();
  }

  const std::vector<Candidate>& candidates() const { return candidates_; }

  struct Draw {
    std::vector<double> quality, wh;  ///< by candidate
  };
  Draw draw(Random& random) const;

 private:
  void add(size_t place) {
    const CellResult& cell = results_.cells[place];
    Candidate candidate;
    candidate.place = place;
    candidate.quality = score(cell.outputs);
    candidate.outputs.assign(results_.truth.size(), Output{-1, 0, 0});
    for (const Output& output : cell.outputs) candidate.outputs[output.row] = output;
    for (const Window& window : cell.samples) {
      if (window.kind != "queries" || !window.accepted || window.queries == 0) continue;
      candidate.wh_of_round[window.round] = window.energy.joules / static_cast<double>(window.queries) / 3.6;
    }
    candidates_.push_back(std::move(candidate));
  }

  double score(std::span<const Output> outputs) const {
    return results_.plan.metric == Metric::kAccuracy
               ? accuracy(outputs)
               : macro_f1(outputs, static_cast<int>(results_.labels.size()));
  }

  void set_doubts() {
    double mean_log_power = 0;
    std::map<std::string, int> sources;
    for (const Candidate& candidate : candidates_) {
      const CellResult& cell = results_.cells[candidate.place];
      mean_log_power += std::log(std::max(cell.watts, 1e-9)) / static_cast<double>(candidates_.size());
      ++sources[cell.source];
    }
    for (Candidate& candidate : candidates_) {
      const CellResult& cell = results_.cells[candidate.place];
      if (sources.size() > 1) {
        const Interval& wh = *cell.wh_per_1000;
        candidate.doubt = (wh.high - wh.low) / (2 * 1.96 * wh.value);
      } else if (cell.grade == Grade::kModelled) {
        const double off = std::log(std::max(cell.watts, 1e-9)) - mean_log_power;
        candidate.doubt = std::hypot(kLeastDoubt, kDoubtOfDifference * off);
      }
    }
  }

  const Results& results_;
  std::vector<Candidate> candidates_;
};

Comparison::Draw Comparison::draw(Random& random) const {
  const auto n_rows = static_cast<int64_t>(results_.truth.size());
  std::vector<int64_t> rows(results_.truth.size());
  for (int64_t& row : rows) row = random.below(n_rows);
  int rounds = 1;
  for (const Candidate& candidate : candidates_) {
    if (!candidate.wh_of_round.empty()) rounds = std::max(rounds, candidate.wh_of_round.rbegin()->first + 1);
  }
  std::vector<int> drawn_rounds(static_cast<size_t>(rounds));
  for (int& round : drawn_rounds) round = static_cast<int>(random.below(rounds));

  Draw draw;
  std::vector<Output> outputs;
  std::vector<double> energies;
  for (const Candidate& candidate : candidates_) {
    outputs.clear(), energies.clear();
    for (const int64_t row : rows) {
      if (candidate.outputs[row].row >= 0) outputs.push_back(candidate.outputs[row]);
    }
    for (const int round : drawn_rounds) {
      if (const auto found = candidate.wh_of_round.find(round); found != candidate.wh_of_round.end()) {
        energies.push_back(found->second);
      }
    }
    // A cell that has none of the drawn rounds (an interrupted study) keeps its figure.
    const double wh =
        energies.empty() ? results_.cells[candidate.place].wh_per_1000->value : median(energies);
    draw.quality.push_back(outputs.empty() ? candidate.quality : score(outputs));
    draw.wh.push_back(wh * std::exp(candidate.doubt * random.normal()));
  }
  return draw;
}

double bar_of(const Requirements& wanted, const std::vector<double>& qualities) {
  if (wanted.quality) return *wanted.quality;
  const double best = *std::max_element(qualities.begin(), qualities.end());
  return best - wanted.drop.value_or(wanted.margin.value_or(0));
}

bool meets_limits(const CellResult& cell, const Requirements& wanted) {
  return (!wanted.p95_ms || cell.p95_ms <= *wanted.p95_ms) &&
         (!wanted.memory_bytes || cell.peak_memory_bytes <= *wanted.memory_bytes);
}

/// Lower 2.5 % point of quality(cell) - quality(best), paired over rows.
double worst_difference(const std::vector<Comparison::Draw>& draws, size_t candidate, size_t best) {
  std::vector<double> differences;
  for (const auto& draw : draws) differences.push_back(draw.quality[candidate] - draw.quality[best]);
  return quantile(differences, 0.025);
}

std::optional<double> queries_to_break_even(const CellResult& choice, const CellResult& other) {
  const auto fixed = [](const CellResult& cell) {
    return cell.train_wh + (cell.load_wh ? cell.load_wh->value : 0);
  };
  const double saved = (other.wh_per_1000->value - choice.wh_per_1000->value) / 1000;
  const double extra = fixed(choice) - fixed(other);
  if (extra <= 0 && saved >= 0) return 0;
  if (saved <= 0) return std::nullopt;
  return extra / saved;
}

/// Share of draws in which `choice` meets the bar and no cheaper candidate does.
double probability_of(const std::vector<Comparison::Draw>& draws, const Requirements& wanted,
                      const std::vector<bool>& within_limits, size_t choice) {
  int right = 0;
  for (const auto& draw : draws) {
    const double bar = bar_of(wanted, draw.quality);
    double least = kNever;
    for (size_t i = 0; i < draw.wh.size(); ++i) {
      if (within_limits[i] && draw.quality[i] >= bar - 1e-12) least = std::min(least, draw.wh[i]);
    }
    right += draw.quality[choice] >= bar - 1e-12 && draw.wh[choice] <= least;
  }
  return static_cast<double>(right) / static_cast<double>(draws.size());
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
    fail("the advice needs one bar: --quality VALUE, --drop FROM_THE_BEST or --margin OF_NON_INFERIORITY");
  }
  Advice advice;
  advice.front = pareto_front(results);
  const Comparison comparison(results);
  const auto& cells = comparison.candidates();
  if (cells.empty()) return advice;

  std::vector<double> qualities;
  std::vector<bool> within_limits;
  for (const Candidate& cell : cells) {
    qualities.push_back(cell.quality);
    within_limits.push_back(meets_limits(results.cells[cell.place], wanted));
  }
  const auto best =
      static_cast<size_t>(std::max_element(qualities.begin(), qualities.end()) - qualities.begin());
  advice.best = cells[best].place;
  advice.bar = bar_of(wanted, qualities);

  Random random(results.plan.seed);
  std::vector<Comparison::Draw> draws;
  for (int i = 0; i < kDraws; ++i) draws.push_back(comparison.draw(random));
  std::vector<size_t> meeting;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (!within_limits[i] || qualities[i] < advice.bar - 1e-12) continue;
    if (wanted.margin && worst_difference(draws, i, best) < -*wanted.margin) {
      within_limits[i] = false;
      continue;
    }
    meeting.push_back(i);
  }
  std::sort(meeting.begin(), meeting.end(), [&](size_t a, size_t b) {
    return results.cells[cells[a].place].wh_per_1000->value <
           results.cells[cells[b].place].wh_per_1000->value;
  });
  for (const size_t i : meeting) advice.candidates.push_back(cells[i].place);
  if (meeting.empty()) return advice;
  advice.choice = advice.candidates[0];
  if (meeting.size() > 1) advice.runner_up = advice.candidates[1];
  advice.probability = probability_of(draws, wanted, within_limits, meeting[0]);
  advice.too_close = advice.probability < kClear;
  for (const size_t place : advice.candidates) {
    if (place == *advice.choice) continue;
    advice.break_even.push_back(
        {place, queries_to_break_even(results.cells[*advice.choice], results.cells[place])});
  }
  return advice;
}

namespace {

std::string bar_in_words(const Results& results, const Requirements& wanted, const Advice& advice) {
  std::string words = fmt::format("{} of at least {}", title(results.plan.metric), percent(advice.bar));
  if (wanted.drop) words += fmt::format(" (at most {} below the best)", percent(*wanted.drop));
  if (wanted.margin)
    words += fmt::format(" (not inferior to the best by more than {})", percent(*wanted.margin));
  if (wanted.p95_ms) words += fmt::format(", p95 within {} ms", significant(*wanted.p95_ms, 3));
  if (wanted.memory_bytes) words += fmt::format(", memory within {}", bytes(*wanted.memory_bytes));
  return words;
}

std::string figures(const CellResult& cell) {
  return fmt::format("{} at {} Wh per 1,000 queries", percent(cell.quality->value),
                     energy(cell.wh_per_1000->value, 3));
}

}  // namespace

std::vector<std::string> sentences(const Results& results, const Requirements& wanted, const Advice& advice) {
  const auto label = [&](size_t place) { return cell_name(results.cells[place]); };
  const std::string bar = bar_in_words(results, wanted, advice);
  if (!advice.best) return {"No cell has both quality and energy, so nothing can be recommended."};
  if (!advice.choice) {
    return {
        fmt::format("No cell reaches {}.", bar),
        fmt::format("The best there is: {}, {}.", label(*advice.best), figures(results.cells[*advice.best]))};
  }
  const CellResult& choice = results.cells[*advice.choice];
  std::vector<std::string> lines;
  if (advice.too_close) {
    lines.push_back(fmt::format("Too close to call for {}: {} is the cheapest with a probability of {}.", bar,
                                label(*advice.choice), percent(advice.probability)));
  } else {
    lines.push_back(fmt::format("For {}, use {}: the cheapest with a probability of {}.", bar,
                                label(*advice.choice), percent(advice.probability)));
  }
  lines.push_back(fmt::format("It reaches {}.", figures(choice)));
  if (advice.runner_up) {
    const CellResult& other = results.cells[*advice.runner_up];
    lines.push_back(fmt::format("Runner-up: {}, {} ({} times the energy).", label(*advice.runner_up),
                                figures(other),
                                significant(other.wh_per_1000->value / choice.wh_per_1000->value, 3)));
  } else {
    lines.push_back("No other cell reaches the bar.");
  }
  if (choice.train_wh > 0) {
    lines.push_back(fmt::format("Its preparation (training, conversion) took {} Wh, as much as {} queries.",
                                energy(choice.train_wh, 3),
                                whole(choice.train_wh / choice.wh_per_1000->value * 1000)));
  }
  for (const BreakEven& even : advice.break_even) {
    if (even.queries && *even.queries > 0) {
      lines.push_back(fmt::format("Preparation and load included, it is ahead of {} from {} queries on.",
                                  label(even.other), whole(*even.queries)));
    }
  }
  return lines;
}

nlohmann::ordered_json to_json(const Results& results, const Requirements& wanted, const Advice& advice) {
  using Json = nlohmann::ordered_json;
  const auto cell = [&](std::optional<size_t> place) -> Json {
    return place ? cell_json(results.cells[*place], results.plan.metric) : Json(nullptr);
  };
  Json json{{"metric", name(results.plan.metric)}, {"bar", advice.best ? Json(advice.bar) : Json(nullptr)}};
  json["verdict"] = !advice.choice     ? "no cell reaches the bar"
                    : advice.too_close ? "too close to call"
                                       : "clear";
  json["probability"] = advice.choice ? Json(advice.probability) : Json(nullptr);
  json["choice"] = cell(advice.choice);
  json["runner_up"] = cell(advice.runner_up);
  json["best"] = cell(advice.best);
  json["front"] = Json::array();
  for (const size_t place : advice.front) json["front"].push_back(cell(place));
  json["break_even"] = Json::array();
  for (const BreakEven& even : advice.break_even) {
    const CellResult& other = results.cells[even.other];
    json["break_even"].push_back(
        {{"rung", other.rung},
         {"precision", other.precision.empty() ? Json(nullptr) : Json(other.precision)},
         {"queries", even.queries ? Json(*even.queries) : Json(nullptr)}});
  }
  json["sentences"] = sentences(results, wanted, advice);
  return json;
}

}  // namespace wattle
