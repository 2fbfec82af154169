// Races in virtual time whose truth is known: who is stopped, and what is decided, against it.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "report/advice.h"
#include "report/made_up.h"
#include "report/race.h"
#include "report/simulated_meter.h"
#include "statistics/random.h"

namespace wattle {
namespace {

constexpr int kRaceRows = 200, kRaceParts = 5;
constexpr double kRaceBar = 0.8;

struct RaceRung {
  double accuracy, joules;
};

/// A race of cells whose true accuracies and energies are known. Answers of cells go together, as those of
/// one encoder at several precisions do; all cells of a round share a drift. Half of the races are measured
/// by a counter whose gain is off, half by a power model whose parameters are wrong.
class SimulatedRace {
 public:
  SimulatedRace(uint64_t seed, std::vector<RaceRung> truth, const RaceOptions& options)
      : random_(seed), options_(options), truth_(std::move(truth)) {
    study_.plan.seed = seed;
    study_.plan.rounds = kRaceParts;
    study_.labels = {"no", "yes"};
    study_.truths.assign(kRaceRows, R"({"label":"yes"})");
    meter_.modelled = seed % 2 == 0;
    noise_ = 0.01 * std::pow(5, random_.uniform());
    for (double& z : meter_.wrong) z = random_.normal() / 1.959964;
    for (size_t i = 0; i < truth_.size(); ++i) {
      CellResult& cell = study_.cells.emplace_back();
      cell.rung = "rung" + std::to_string(i);
      cell.key = cell.rung;
      idle_shares_.push_back(0.2 + 0.1 * random_.uniform());
    }
    for (int row = 0; row < kRaceRows; ++row) difficulty_.push_back(random_.uniform());
  }

  void run() {
    while (race_.ended.empty()) {
      measure(race_.rounds++);
      summarise(study_);
      look_at_race(study_, options_, race_);
    }
    study_.race = race_;
  }

  const Race& race() const { return race_; }
  const Results& study() const { return study_; }
  bool is_stopped(size_t i) const { return race_.stopped.contains(study_.cells[i].key); }
  int windows() const {
    size_t windows = 0;
    for (const CellResult& cell : study_.cells) windows += cell.samples.size();
    return static_cast<int>(windows);
  }

 private:
  void measure(int round) {
    const double drift = 0.05 * random_.normal();
    for (size_t i = 0; i < truth_.size(); ++i) {
      const double seen = truth_[i].joules / doubt(i) * std::exp(drift + noise_ * random_.normal());
      CellResult& cell = study_.cells[i];
      if (is_stopped(i)) continue;
      cell.samples.push_back(
          meter_.window(round, seen, idle_shares_[i], 20'000'000 + static_cast<int64_t>(i)));
      if (round >= kRaceParts) continue;
      for (int row = round; row < kRaceRows; row += kRaceParts) {
        const double drawn =
            random_.uniform() < 0.8 ? difficulty_[static_cast<size_t>(row)] : random_.uniform();
        cell.outputs.push_back(made_up_output(study_, row, drawn < truth_[i].accuracy));
      }
    }
  }

  /// How many times as much a cell truly takes as the meter says of it.
  double doubt(size_t i) const {
    if (!meter_.modelled) return 1 + 0.05 * meter_.wrong[0];
    return meter_.model_error(idle_shares_[i]);
  }

  Random random_;
  const RaceOptions& options_;
  std::vector<RaceRung> truth_;
  Results study_;
  Race race_;
  SimulatedMeter meter_;
  double noise_ = 0;
  std::vector<double> idle_shares_, difficulty_;
};

/// A ladder: cheap and humble rungs, an encoder at four precisions, a language model.
std::vector<RaceRung> drawn_ladder(uint64_t seed) {
  Random random(seed * 7919);
  const double best = 0.80 + 0.15 * random.uniform();
  std::vector<RaceRung> ladder{{best - 0.30 + 0.05 * random.uniform(), 1e-4},
                               {best - 0.15 + 0.20 * random.uniform(), 1e-3 * (1 + random.uniform())}};
  for (const double cost : {2.5, 1.2, 1.05, 1.0})
    ladder.push_back({best + 0.01 * random.normal(), cost * std::exp(0.05 * random.normal())});
  ladder.push_back({best - 0.5 * random.uniform(), 15});
  return ladder;
}

/// Whether a cell belongs where the advice looks.
bool belongs(const std::vector<RaceRung>& ladder, size_t i, const RaceOptions& options, double margin) {
  if (options.quality && ladder[i].accuracy < *options.quality) return false;
  return std::ranges::none_of(ladder, [&](const RaceRung& other) {
    const bool as_good =
        options.quality ? other.accuracy >= *options.quality : other.accuracy > ladder[i].accuracy - margin;
    return as_good && ladder[i].joules > (1 + options.within) * other.joules;
  });
}

struct Tally {
  int races = 0, wrong = 0, decided = 0, decided_wrong = 0, hopeless = 0, hopeless_stopped = 0;
  double windows = 0, rounds = 0;

  void print(const char* name) const {
    printf(
        "%s: a rung that belongs stopped in %.1f %% of %d races; decided %.1f %%, of these wrong %.1f %%; "
        "%.0f "
        "windows in %.1f rounds; of rungs far behind %.1f %% stopped\n",
        name, 100.0 * wrong / races, races, 100.0 * decided / races,
        decided == 0 ? 0 : 100.0 * decided_wrong / decided, windows / races, rounds / races,
        hopeless == 0 ? 0 : 100.0 * hopeless_stopped / hopeless);
  }
};

void tally_race(const SimulatedRace& race, const std::vector<RaceRung>& ladder, const RaceOptions& options,
                Tally& tally) {
  ++tally.races;
  tally.windows += race.windows(), tally.rounds += race.race().rounds;
  bool wrong = false;
  for (size_t i = 0; i < ladder.size(); ++i) wrong |= race.is_stopped(i) && belongs(ladder, i, options, 0.01);
  tally.wrong += wrong;
  // The language model, where it is much worse than the encoder that costs a fifteenth.
  if (ladder.size() == 7 && ladder.back().accuracy < ladder[5].accuracy - 0.25) {
    ++tally.hopeless;
    tally.hopeless_stopped += race.is_stopped(ladder.size() - 1);
  }
  if (!race.race().decided) return;
  ++tally.decided;
  if (!options.quality) return;
  Requirements wanted;
  wanted.quality = options.quality, wanted.within = options.within;
  const Advice advice = advise(race.study(), wanted);
  double least = INFINITY;
  for (const RaceRung& one : ladder) {
    if (one.accuracy >= *options.quality) least = std::min(least, one.joules);
  }
  if (!advice.choice) {
    tally.decided_wrong += std::isfinite(least);
    return;
  }
  const RaceRung& choice = ladder[*advice.choice];
  // That it costs at most `within` more is meant of candidates alike: two steps of `within` are one class.
  tally.decided_wrong += choice.accuracy < *options.quality || choice.joules > (1 + options.within) * least;
}

Tally race_ladders(const RaceOptions& options, int races) {
  Tally tally;
  for (uint64_t seed = 1; seed <= static_cast<uint64_t>(races); ++seed) {
    const std::vector<RaceRung> ladder = drawn_ladder(seed);
    SimulatedRace race(seed, ladder, options);
    race.run();
    tally_race(race, ladder, options, tally);
  }
  return tally;
}

TEST(RaceSimulation, RungsThatBelongAreStoppedInFiveOfAHundredRacesAtMost) {
  RaceOptions with_bar;
  with_bar.quality = kRaceBar;
  const Tally bar = race_ladders(with_bar, 300);
  bar.print("bar");
  EXPECT_LE(bar.wrong, kRaceError * bar.races);
  EXPECT_LE(bar.decided_wrong, 0.05 * bar.decided + 3);
  EXPECT_GT(bar.decided, 0.1 * bar.races);
  EXPECT_GT(bar.hopeless_stopped, 0.9 * bar.hopeless);
  const Tally frontier = race_ladders({}, 200);
  frontier.print("frontier");
  EXPECT_LE(frontier.wrong, kRaceError * frontier.races);
  EXPECT_GT(frontier.hopeless_stopped, 0.9 * frontier.hopeless);
}

/// The truths at which false stops are likeliest, with as many looks as there can be: all cells are as dear
/// as the class of the cheapest allows, or all are exactly as good as the bar asks.
TEST(RaceSimulation, AtTheBorderToo) {
  RaceOptions options;
  options.quality = kRaceBar;
  options.most_rounds = 30;
  Tally of_energy, of_quality;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::vector<RaceRung> as_dear(8, {0.97, 1.1}), as_good(8, {kRaceBar, 1});
    as_dear.front().joules = 1;
    SimulatedRace dear(seed, as_dear, options), good(seed, as_good, options);
    dear.run(), good.run();
    tally_race(dear, as_dear, options, of_energy);
    tally_race(good, as_good, options, of_quality);
  }
  of_energy.print("at the border of energy");
  of_quality.print("at the border of quality");
  EXPECT_LE(of_energy.wrong, kRaceError * of_energy.races);
  EXPECT_LE(of_quality.wrong, kRaceError * of_quality.races);
}

}  // namespace
}  // namespace wattle
