// A thousand simulated studies whose truth is known: the advice's probabilities and bounds against it.
#include <algorithm>
#include <array>
#include <cmath>

#include <gtest/gtest.h>

#include "meter/error_draw.h"
#include "report/advice.h"
#include "report/made_up.h"
#include "report/simulated_meter.h"
#include "statistics/descriptive.h"
#include "statistics/random.h"

namespace wattle {
namespace {

constexpr int kStudies = 1000, kRows = 300;
constexpr double kBar = 0.9;

/// Of the cells of one study: how many, from which to which accuracy, and how much their energies differ
/// (standard deviation of the logarithm).
struct Design {
  int cells = 10;
  double least = 0.86, most = 0.96, spread = 0.055;
};
constexpr Design kManyEqual{}, kFewEqual{8, 0.84, 0.96, 0.06};

struct KnownTruth {
  std::vector<double> accuracy, joules;
};

/// The cells of one study, as one encoder at several precisions gives: true accuracies around the bar, true
/// energies near each other, noise of one in a hundred to one in twenty a window, a drift that all cells of a
/// round share. Half of the studies have a counter whose gain is off by up to a few per cent, half a power
/// model whose parameters are wrong.
class Simulation {
 public:
  Simulation(const Design& design, uint64_t seed) : design_(design), random_(seed) {
    study_.plan.seed = seed;
    study_.plan.name = "simulated";
    study_.labels = {"no", "yes"};
    study_.truths.assign(kRows, R"({"label":"yes"})");
    meter_.modelled = seed % 2 == 0;
    noise_ = 0.01 * std::pow(5, random_.uniform());
    for (double& z : meter_.wrong) z = random_.normal() / 1.959964;
    const int rounds = 3 + static_cast<int>(random_.below(6));
    for (int round = 0; round < rounds; ++round) drift_.push_back(0.05 * random_.normal());
    for (int cell = 0; cell < design_.cells; ++cell) add(cell);
    summarise(study_);
  }

  const Results& study() const { return study_; }
  const KnownTruth& truth() const { return truth_; }

 private:
  void add(int place) {
    CellResult cell;
    cell.rung = "rung" + std::to_string(place);
    const double accuracy = design_.least + (design_.most - design_.least) * random_.uniform();
    for (int row = 0; row < kRows; ++row)
      cell.outputs.push_back(made_up_output(study_, row, random_.uniform() < accuracy));
    const double joules = std::exp(design_.spread * random_.normal());
    const double idle_share = 0.2 + 0.1 * random_.uniform();
    const double true_joules = meter_.modelled ? joules * meter_.model_error(idle_share) : joules;
    const int64_t memory = 20'000'000 + random_.below(80'000'000);
    for (size_t round = 0; round < drift_.size(); ++round) {
      const double seen = joules * std::exp(drift_[round] + noise_ * random_.normal());
      cell.samples.push_back(meter_.window(static_cast<int>(round), seen, idle_share, memory));
    }
    study_.cells.push_back(std::move(cell));
    truth_.accuracy.push_back(accuracy);
    truth_.joules.push_back(true_joules);
  }

  Design design_;
  Random random_;
  Results study_;
  KnownTruth truth_;
  SimulatedMeter meter_;
  double noise_ = 0;
  std::vector<double> drift_;
};

/// Predicted probabilities against what came true, in ten bins.
class Reliability {
 public:
  void add(double predicted, bool came_true) {
    Bin& bin = bins_[std::min<size_t>(9, static_cast<size_t>(predicted * 10))];
    ++bin.n, bin.predicted += predicted, bin.true_ += came_true;
    brier_ += (predicted - came_true) * (predicted - came_true);
    calibrated_brier_ += predicted * (1 - predicted);
    variance_ += predicted * (1 - predicted) * (1 - 2 * predicted) * (1 - 2 * predicted);
    ++n_;
  }
  void expect_calibrated() const {
    // What a calibrated forecaster of these probabilities scores on average.
    EXPECT_NEAR(brier_ / n_, calibrated_brier_ / n_, 2.6 * std::sqrt(variance_) / n_);
    printf("Brier %.4f over %.0f (a calibrated forecaster's: %.4f)\n", brier_ / n_, n_,
           calibrated_brier_ / n_);
    for (const Bin& bin : bins_) {
      if (bin.n == 0) continue;
      const double predicted = bin.predicted / bin.n, seen = bin.true_ / bin.n;
      printf("| %.0f | %.1f %% | %.1f %% |\n", bin.n, 100 * predicted, 100 * seen);
      EXPECT_NEAR(seen, predicted, 0.03 + 2.6 * std::sqrt(predicted * (1 - predicted) / bin.n));
    }
  }

 private:
  struct Bin {
    double n = 0, predicted = 0, true_ = 0;
  };
  std::array<Bin, 10> bins_;
  double brier_ = 0, calibrated_brier_ = 0, variance_ = 0, n_ = 0;
};

/// Regrets of the choices among two candidates or more, and what the advice said of them.
struct Regrets {
  std::vector<double> truths, bounds;

  void add(const Advice& advice, const KnownTruth& truth) {
    if (advice.candidates.size() < 2) return;
    double least = INFINITY;
    for (const Candidate& candidate : advice.candidates)
      least = std::min(least, truth.joules[candidate.place]);
    truths.push_back(truth.joules[*advice.choice] / least - 1);
    bounds.push_back(*advice.regret);
  }
  double bound_over_truth() const { return median(bounds) / median(truths); }
  void expect_within() const {
    double within = 0;
    for (size_t i = 0; i < truths.size(); ++i) within += truths[i] <= bounds[i] + 1e-12;
    const auto n = static_cast<double>(truths.size());
    printf(
        "regret within its bound in %.1f %% of %.0f studies; median bound %.1f %%, median true regret %.1f "
        "%%, "
        "%.2f times\n",
        100 * within / n, n, 100 * median(bounds), 100 * median(truths), bound_over_truth());
    EXPECT_GT(n, 0.8 * kStudies);
    EXPECT_GE(within, 0.95 * n);
  }
};

TEST(AdviceSimulation, RegretStaysWithinItsBoundAndProbabilitiesComeTrue) {
  Requirements wanted;
  wanted.quality = kBar;
  Reliability of_candidates, of_choices;
  Regrets regrets;
  for (uint64_t seed = 1; seed <= kStudies; ++seed) {
    const Simulation simulation(kManyEqual, seed);
    const Advice advice = advise(simulation.study(), wanted);
    for (const Candidate& candidate : advice.candidates) {
      const bool reached = simulation.truth().accuracy[candidate.place] >= kBar;
      of_candidates.add(candidate.sure, reached);
      if (candidate.place == *advice.choice) of_choices.add(candidate.sure, reached);
    }
    regrets.add(advice, simulation.truth());
  }
  regrets.expect_within();
  EXPECT_LE(regrets.bound_over_truth(), 3);
  of_candidates.expect_calibrated();
  of_choices.expect_calibrated();
}

/// Fewer cells are equal, so the choice is more often truly the cheapest, and the windows' noise sets the
/// bound.
TEST(AdviceSimulation, RegretStaysWithinItsBoundWhereFewCellsAreEqual) {
  Requirements wanted;
  wanted.quality = kBar;
  Regrets regrets;
  for (uint64_t seed = 1; seed <= kStudies; ++seed) {
    const Simulation simulation(kFewEqual, seed);
    regrets.add(advise(simulation.study(), wanted), simulation.truth());
  }
  regrets.expect_within();
  EXPECT_LE(regrets.bound_over_truth(), 3.6);
}

}  // namespace
}  // namespace wattle
