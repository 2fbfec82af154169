#pragma once

#include <optional>
#include <string>
#include <vector>

#include <wattle/study.h>
#include <nlohmann/json.hpp>

namespace wattle {

/// What a configuration must reach, by the metric of the results' plan. Exactly one of `quality`, `drop` and
/// `margin` is set.
struct Requirements {
  std::optional<double> quality;  ///< at least so much
  std::optional<double> drop;     ///< at most so much below the best
  std::optional<double>
      margin;  ///< not inferior to the best by more than so much, with 97.5 % confidence (paired)
  std::optional<double> p95_ms;
  std::optional<int64_t> memory_bytes;
};

/// From how many queries on the choice has cost less in all than another cell, preparation and load included.
struct BreakEven {
  size_t other = 0;
  std::optional<double> queries;  ///< 0: from the first on; nothing: never
};

struct Advice {
  std::vector<size_t> candidates;  ///< places in Results::cells that meet the requirements, cheapest first
  std::optional<size_t> choice, runner_up;
  double probability = 0;      ///< that the choice is the cheapest that meets them
  bool too_close = false;      ///< probability under 95 %
  double bar = 0;              ///< the quality asked for, as a value
  std::optional<size_t> best;  ///< of greatest quality
  std::vector<size_t> front;   ///< Pareto front of energy and quality, cheapest first
  std::vector<BreakEven> break_even;
};

/// Chooses among the cells that have quality and energy; a cell without either is never chosen.
///
/// The probability comes from 2,000 draws (seeded): evaluation rows are drawn with replacement, the same for
/// all cells, and so are rounds, since cells of one round shared the machine's state. Modelled energy is
/// doubtful beyond its repetitions; but the doubt about the model's parameters falls on all cells of one
/// source alike and does not change their order. What does is the doubt about how power differs between kinds
/// of work: a factor for each cell, log-normal, of 3 % and half of the logarithm by which its modelled power
/// lies off the others' mean. Cells of different sources take the whole interval of their meter.
Advice advise(const Results& results, const Requirements& wanted);

/// Cells that no other beats in both energy and quality, cheapest first.
std::vector<size_t> pareto_front(const Results& results);

/// The advice in sentences, one a line.
std::vector<std::string> sentences(const Results& results, const Requirements& wanted, const Advice& advice);

nlohmann::ordered_json to_json(const Results& results, const Requirements& wanted, const Advice& advice);

}  // namespace wattle
