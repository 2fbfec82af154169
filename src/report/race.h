#pragma once

#include <optional>
#include <string>
#include <vector>

#include <wattle/study.h>

namespace wattle::inline report {

/// The greatest probability with which a race ever stops a rung that belongs where the advice looks.
inline constexpr double kRaceError = 0.05;

struct RaceOptions {
  std::optional<double> quality;  ///< the advice's bar; nothing: the frontier of quality and energy is sought
  double within = 0.10;           ///< energies that differ by less are taken as equal
  double margin = -1;             ///< without a bar: values that differ by less are taken as equal; below 0:
                                  ///< one hundredth of a share, of other metrics of the best value
  int most_rounds = 20;           ///< a race that needs more ends undecided
};

/// Says after a round which cells go on and whether the race does; `race.rounds` counts that round.
///
/// A cell is stopped where it surely does not reach the bar; where another one surely costs less by more than
/// `within` and surely reaches the bar; and where another one surely costs less by more than that and is
/// surely as good. Without a bar only the last holds, and as good is who is not worse by the margin.
///
/// Looking again after every round would make errors pile up. Of kRaceError one half is spent in equal parts
/// by the looks until all rows were asked, and the m-th look after these spends 1 / (m (m + 1)) of the other
/// half, so that all looks together spend it once, however many there are. The tests that may stop a cell
/// share what a look spends (Bonferroni), and a test of two things at once errs no more often than each. So a
/// cell that truly is among the cheapest that reach the bar, or on the frontier, is ever stopped in 5 of 100
/// races at most. No cell is stopped before its third round.
///
/// The race ends when every cell that is left has answered all rows and nothing is open (Race::decided): the
/// choice is sure to reach the bar, cheaper cells are sure not to, and the choice surely costs at most
/// `within` more than any other candidate; without a bar, of every two cells it is known which is better and
/// cheaper, or that they are equal. It also ends when no round would decide what is open; `race.ended` then
/// says how many more rows would.
void look_at_race(const Results& results, const RaceOptions& options, Race& race);

/// The rules of that for StudyOptions.
RaceRules race_rules(const RaceOptions& options, double seconds);

/// Of a study that was a race: a line for each cell that was stopped, and why it ended. Else none.
std::vector<std::string> race_in_words(const Results& results);
/// "5 rounds": those of the race, else the plan's.
std::string rounds_in_words(const Results& results);

}  // namespace wattle::inline report
