#include "report/race.h"

#include <algorithm>
#include <cmath>

#include <fmt/ranges.h>

#include "report/advice.h"
#include "report/format.h"
#include "report/race_evidence.h"
#include "statistics/intervals.h"
#include "study/scoring.h"

namespace wattle::inline report {
namespace {

constexpr double kBarDoubt = 1 - kSure;

std::vector<size_t> racing_cells(const Results& results, const Race& race) {
  std::vector<size_t> places;
  for (size_t place = 0; place < results.cells.size(); ++place) {
    const CellResult& cell = results.cells[place];
    const bool measured = cell.error.empty() && cell.quality && cell.wh_per_1000;
    if (measured && !race.stopped.contains(cell.key)) places.push_back(place);
  }
  return places;
}

/// What a race has not decided yet.
struct OpenQuestions {
  std::vector<std::string> of_energy;  ///< that no number of rounds would decide
  std::string of_quality;              ///< the one that needs the most rows
  bool any_quality = false, rounds_help = false;
  std::optional<int64_t> rows;

  void ask_quality(std::string question, std::optional<int64_t> more_rows) {
    if (!any_quality || more_rows.value_or(INT64_MAX) > rows.value_or(INT64_MAX)) {
      rows = more_rows;
      of_quality = std::move(question);
    }
    any_quality = true;
  }
};

/// What the look after a round spends of kRaceError; `all_rows`: rounds until all rows were asked.
double share_of_look(int round, int all_rows) {
  constexpr int kFirst = static_cast<int>(kLeastRepetitions);
  const int looks = std::max(1, all_rows - kFirst + 1), look = round - kFirst + 1;
  if (look <= looks) return 0.5 / looks;
  const double after = look - looks;
  return 0.5 / (after * (after + 1));
}

class RaceLook {
 public:
  RaceLook(const Results& results, const RaceOptions& options, Race& race)
      : results_(results),
        options_(options),
        race_(race),
        places_(racing_cells(results, race)),
        quality_(results, places_),
        energy_(results, places_),
        cheaper_by_(std::log1p(options.within)) {
    look_error_ = kRaceError * share_of_look(race.rounds, results.plan.rounds);
    error_ = look_error_ / static_cast<double>(2 * results.cells.size());
  }

  void run() {
    if (places_.empty()) {
      race_.ended = "No rung could be measured.";
      return;
    }
    if (race_.rounds < static_cast<int>(kLeastRepetitions)) return;
    stop_cells();
    end_if_decided();
  }

 private:
  size_t size() const { return places_.size(); }
  const CellResult& cell(size_t i) const { return results_.cells[places_[i]]; }
  std::string name_of(size_t i) const { return cell_name(cell(i)); }
  bool goes_on(size_t i) const { return !race_.stopped.contains(cell(i).key); }
  std::string value_text(double value) const { return quality_text(quality_.metric(), value); }

  double margin() const {
    if (options_.margin >= 0) return options_.margin;
    double best = 0;
    for (size_t i = 0; i < size(); ++i) best = i == 0 ? quality_.value(0) : std::max(best, quality_.value(i));
    return is_share(quality_.metric()) ? 0.01 : 0.01 * std::abs(best);
  }

  /// Why `i` cannot win beside `other`; empty: it may.
  std::string beaten_by(size_t i, size_t other) const {
    if (energy_.at_least(i, other, error_) <= cheaper_by_) return {};
    if (!options_.quality) {
      if (!quality_.not_worse(other, i, margin(), error_)) return {};
      return fmt::format("{} is as good to {} and surely costs less", name_of(other), value_text(margin()));
    }
    if (quality_.reaches(other, *options_.quality, error_))
      return fmt::format("{} surely reaches {} and costs less", name_of(other),
                         value_text(*options_.quality));
    if (quality_.not_worse(other, i, 0, error_))
      return fmt::format("{} is surely as good and costs less", name_of(other));
    return {};
  }

  std::string why_stopped(size_t i) const {
    if (options_.quality && quality_.below(i, *options_.quality, error_)) {
      return fmt::format("its {} surely does not reach {}", title(quality_.metric().name()),
                         value_text(*options_.quality));
    }
    for (size_t other = 0; other < size(); ++other) {
      if (other == i) continue;
      if (std::string why = beaten_by(i, other); !why.empty()) return why;
    }
    return {};
  }

  /// All at once: whoever beats another one here may be stopped by a third.
  void stop_cells() {
    std::map<std::string, std::string> stopped;
    for (size_t i = 0; i < size(); ++i) {
      if (const std::string why = why_stopped(i); !why.empty())
        stopped[cell(i).key] = fmt::format("after round {}: {}", race_.rounds, why);
    }
    race_.stopped.merge(stopped);
  }

  /// Whether `a` costs at most `within` more than `b` is known, or may be known after more rounds.
  void ask_energy(size_t a, size_t b, OpenQuestions& open) const {
    const double error = look_error_ / static_cast<double>(results_.cells.size());
    if (energy_.at_most(a, b, error) <= cheaper_by_) return;
    if (energy_.at_most_after(a, b, error, options_.most_rounds) <= cheaper_by_) {
      open.rounds_help = true;
    } else {
      open.of_energy.push_back(fmt::format("{} and {}", name_of(a), name_of(b)));
    }
  }

  void ask_bar(size_t i, OpenQuestions& open) const {
    open.ask_quality(fmt::format("whether {} reaches {}", name_of(i), value_text(*options_.quality)),
                     quality_.rows_for_bar(i, *options_.quality, kBarDoubt));
  }

  void ask_with_bar(OpenQuestions& open) const {
    Requirements wanted;
    wanted.quality = options_.quality, wanted.within = options_.within;
    const Advice advice = advise(results_, wanted);
    const auto index_of = [&](size_t place) {
      return static_cast<size_t>(std::ranges::find(places_, place) - places_.begin());
    };
    const size_t choice = advice.choice ? index_of(*advice.choice) : size();
    std::vector<bool> is_candidate(size());
    for (const Candidate& candidate : advice.candidates) {
      const size_t i = index_of(candidate.place);
      if (i == size() || !goes_on(i)) continue;
      is_candidate[i] = true;
      if (i == choice && candidate.sure < kSure) ask_bar(i, open);
      if (i != choice && choice < size()) ask_energy(choice, i, open);
    }
    for (size_t i = 0; i < size(); ++i) {
      if (!goes_on(i) || is_candidate[i] || quality_.below(i, *options_.quality, kBarDoubt)) continue;
      if (choice == size() || energy_.log_ratio(choice, i) > cheaper_by_) ask_bar(i, open);
    }
  }

  /// Of `dear`, which was measured as the dearer one and is not surely beaten by `cheap`.
  void ask_pair(size_t dear, size_t cheap, OpenQuestions& open) const {
    if (quality_.value(cheap) <= quality_.value(dear) - margin()) return;
    if (energy_.at_least(dear, cheap, error_) > cheaper_by_) {
      open.ask_quality(fmt::format("whether {} is better than {} by more than {}", name_of(dear),
                                   name_of(cheap), value_text(margin())),
                       quality_.rows_for_pair(cheap, dear, margin(), error_));
    } else {
      ask_energy(dear, cheap, open);
    }
  }

  void ask_frontier(OpenQuestions& open) const {
    for (size_t a = 0; a < size(); ++a) {
      for (size_t b = 0; b < size(); ++b) {
        if (a != b && goes_on(a) && goes_on(b) && energy_.log_ratio(a, b) > 0) ask_pair(a, b, open);
      }
    }
  }

  void end_if_decided() {
    for (size_t i = 0; i < size(); ++i) {
      if (goes_on(i) && !quality_.is_complete(i)) return;
    }
    OpenQuestions open;
    options_.quality ? ask_with_bar(open) : ask_frontier(open);
    if (open.rounds_help && race_.rounds < options_.most_rounds) return;
    race_.decided = !open.any_quality && !open.rounds_help && open.of_energy.empty();
    race_.ended = race_.decided ? fmt::format("Decided after {} rounds.", race_.rounds) : in_words(open);
  }

  std::string in_words(const OpenQuestions& open) const {
    std::vector<std::string> sentences;
    if (open.any_quality) {
      sentences.push_back(
          open.rows
              ? fmt::format("More rounds would not decide it: about {} more evaluation rows would tell {}.",
                            whole(static_cast<double>(*open.rows)), open.of_quality)
              : fmt::format("Neither more rounds nor more rows would tell {}.", open.of_quality));
    }
    if (!open.of_energy.empty()) {
      sentences.push_back(fmt::format(
          "The energies of {}{} are too near each other for this meter to tell them "
          "apart or call them equal.",
          open.of_energy.front(),
          open.of_energy.size() > 1 ? fmt::format(" (and of {} more pairs)", open.of_energy.size() - 1)
                                    : ""));
    }
    if (sentences.empty()) sentences.push_back(fmt::format("Undecided after {} rounds.", race_.rounds));
    return fmt::format("{}", fmt::join(sentences, " "));
  }

  const Results& results_;
  const RaceOptions& options_;
  Race& race_;
  const std::vector<size_t> places_;
  const QualityEvidence quality_;
  const EnergyEvidence energy_;
  const double cheaper_by_;  ///< as a logarithm
  double look_error_ = 0;    ///< of all tests of this look together
  double error_ = 0;         ///< of one test
};

}  // namespace

void look_at_race(const Results& results, const RaceOptions& options, Race& race) {
  RaceLook(results, options, race).run();
}

RaceRules race_rules(const RaceOptions& options, double seconds) {
  RaceRules rules;
  rules.name = fmt::format("bar {}, within {}, margin {}, {} rounds",
                           options.quality ? fmt::format("{}", *options.quality) : "none", options.within,
                           options.margin, options.most_rounds);
  rules.look = [options](const Results& results, Race& race) { look_at_race(results, options, race); };
  rules.seconds = seconds;
  return rules;
}

std::vector<std::string> race_in_words(const Results& results) {
  std::vector<std::string> lines;
  if (!results.race) return lines;
  for (const CellResult& cell : results.cells) {
    const auto stopped = results.race->stopped.find(cell.key);
    if (stopped != results.race->stopped.end())
      lines.push_back(fmt::format("{} stopped {}", cell_name(cell), stopped->second));
  }
  if (!results.race->ended.empty()) lines.push_back(results.race->ended);
  return lines;
}

std::string rounds_in_words(const Results& results) {
  const int rounds = results.race ? results.race->rounds : results.plan.rounds;
  return fmt::format("{} round{}", rounds, rounds == 1 ? "" : "s");
}

}  // namespace wattle::inline report
