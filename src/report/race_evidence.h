#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <wattle/study.h>

#include "metrics/metric.h"
#include "report/quality_draws.h"

namespace wattle::inline report {

/// What the answers so far tell of the cells at `places`, by tests that err with a probability of `alpha` at
/// most. Values are turned so that greater is better. Shares of right answers are tested exactly; other
/// metrics by the deviation of draws of rows and Student's t, from kFewestRows rows on.
class QualityEvidence {
 public:
  static constexpr size_t kFewestRows = 20;

  QualityEvidence(const Results& results, const std::vector<size_t>& places);

  const Metric& metric() const { return *metric_; }
  double value(size_t i) const;  ///< turned
  double turned(double value) const { return sign_ * value; }

  /// The value on new rows is surely below the bar, or surely reaches it; the bar is the metric's number.
  bool below(size_t i, double bar, double alpha) const;
  bool reaches(size_t i, double bar, double alpha) const;
  /// `a` is surely not worse than `b` by `margin` or more, on the rows that both answered.
  bool not_worse(size_t a, size_t b, double margin, double alpha) const;

  /// Whether all rows were answered.
  bool is_complete(size_t i) const;
  /// About how many more rows would tell on which side of the bar a value as seen lies, or that `a` is not
  /// worse than `b` by `margin`. Nothing where no number of rows anybody has would.
  std::optional<int64_t> rows_for_bar(size_t i, double bar, double alpha) const;
  std::optional<int64_t> rows_for_pair(size_t a, size_t b, double margin, double alpha) const;

 private:
  /// Rows that both answered: only `a` right, only `b` right, all.
  struct Pair {
    int64_t only_a = 0, only_b = 0, n = 0;
  };
  Pair pair(size_t a, size_t b) const;
  size_t rows(size_t i) const { return scored_[i].scores.size(); }

  std::unique_ptr<const Metric> metric_;
  double sign_;
  size_t n_rows_;
  std::vector<double> values_;
  std::vector<Scored> scored_;
  std::optional<QualityDraws> draws_;  ///< of metrics that are no proportion
};

/// What the rounds so far tell of how many times as much energy one cell takes as another.
class EnergyEvidence {
 public:
  EnergyEvidence(const Results& results, const std::vector<size_t>& places);

  /// The logarithm of the ratio a : b as measured in the rounds that both have.
  double log_ratio(size_t a, size_t b) const;
  /// What that ratio surely is at least, or at most: Student's t over the rounds in pairs at `alpha` / 2, and
  /// as far beyond what the instruments repeat (ErrorDraw) at the other half. Infinite below
  /// kLeastRepetitions rounds.
  double at_least(size_t a, size_t b, double alpha) const;
  double at_most(size_t a, size_t b, double alpha) const { return -at_least(b, a, alpha); }
  /// The same as at_most() after `rounds` rounds that go on as those so far.
  double at_most_after(size_t a, size_t b, double alpha, int rounds) const;

 private:
  struct Difference {
    double mean = 0, deviation = 0;
    size_t n = 0;
  };
  Difference difference(size_t a, size_t b) const;
  double of_instruments(size_t a, size_t b, double alpha) const;

  std::vector<std::map<int, double>> logs_;   ///< by cell and round
  std::vector<std::vector<double>> factors_;  ///< by cell: logarithms of what draws multiply it by
};

}  // namespace wattle::inline report
