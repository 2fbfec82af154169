#pragma once

#include <optional>
#include <string>
#include <vector>

#include <wattle/study.h>
#include <nlohmann/json.hpp>

namespace wattle::inline report {

/// The probability from which on something is called sure.
inline constexpr double kSure = 0.95;

/// What a configuration must reach, by the first metric of the results' plan, in its own numbers. Exactly one
/// of `quality`, `drop` and `margin` is set. Where a smaller value is better, "at least" means at most, and
/// "below" above.
struct Requirements {
  std::optional<double> quality;  ///< at least so much
  std::optional<double> drop;     ///< at most so much below the best
  std::optional<double>
      margin;  ///< not inferior to the best by more than so much, with 97.5 % confidence (paired)
  std::optional<double> p95_ms;
  std::optional<int64_t> memory_bytes;
  double within = 0.10;  ///< cells whose energies differ by less are taken as equal
};

/// From how many queries on the choice has cost less in all than another cell, preparation and load included;
/// 0: from the first on, infinite: never. The bounds are those of the draws.
struct BreakEven {
  size_t other = 0;
  Interval queries;
};

/// A cell that can be chosen: its estimates reach the bar and keep the limits.
struct Candidate {
  size_t place = 0;  ///< in Results::cells
  double sure = 0;   ///< probability that it reaches the bar and keeps the limits on new rows
  double p95_kept = 1, memory_kept = 1;  ///< of which these are for the limits
};

struct Advice {
  double bar = 0;                     ///< the quality asked for, as a value
  std::optional<size_t> best;         ///< place of the cell of greatest quality
  std::vector<size_t> front;          ///< Pareto front of energy and quality, cheapest first
  std::vector<Candidate> candidates;  ///< cheapest first

  // Is the bar reached on new rows?
  double most_sure = 0;  ///< greatest probability of any cell, whether or not it can be chosen
  int n_sure = 0;        ///< cells whose probability is 95 % or more
  /// Where none is sure: the hardest bar at which one is, in hundredths of a share, else in two digits.
  std::optional<double> sure_bar;
  int n_sure_below = 0;                   ///< how many are at that bar
  std::optional<int64_t> rows_to_decide;  ///< more rows that would make the choice sure, or sure to fail
  std::optional<size_t> sure_choice;      ///< the cheapest sure candidate, where the choice is not

  // Which are cheapest?
  std::optional<size_t> choice;
  std::vector<size_t> equals;  ///< places that were measured within `within` of the cheapest, choice first

  // What does a wrong choice cost?
  std::optional<double> regret;  ///< with 95 % certainty the choice costs at most so much more than the
                                 ///< cheapest candidate, relative; nothing: fewer than three windows;
                                 ///< infinite where the cheapest may cost nothing beyond asking
  double regret_wh = 0;          ///< the same in watt-hours for a thousand queries
  std::vector<BreakEven> break_even;
};

/// Chooses among the cells that have quality and energy; a cell without either is never chosen. The three
/// answers are apart, and only cells that can be chosen are looked at for the last two.
///
/// Bar: the probability of a proportion (accuracy, exact match) is Jeffreys'; of other metrics and of bars
/// relative to the best it is the share of 2,000 draws of rows, the same for all cells. Limits: of Student's
/// predictive distribution of the next round, on logarithms.
///
/// Energy: 2,000 draws (seeded) of the mean logarithm over rounds, with Student's tails: what all cells of a
/// round share moves them together, the rest by each cell's variance, moderated by that of all; times
/// ErrorDraw's factor for what meters and models repeat. The choice is, of the candidates that were measured
/// within `within` of the cheapest, the smallest in memory. Where the cheapest was seen to cost nothing
/// beyond asking, those within the doubt of that are taken as equal to it.
Advice advise(const Results& results, const Requirements& wanted);

/// Cells that no other beats in both energy and quality, cheapest first.
std::vector<size_t> pareto_front(const Results& results);

/// The advice in at most five sentences, one a line, and what there is to say of preparation beside them.
std::vector<std::string> summary(const Results& results, const Requirements& wanted, const Advice& advice);
std::vector<std::string> details(const Results& results, const Advice& advice);

nlohmann::ordered_json to_json(const Results& results, const Requirements& wanted, const Advice& advice);

}  // namespace wattle::inline report
