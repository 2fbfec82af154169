#pragma once

#include <cstdint>
#include <vector>

#include <wattle/study.h>

#include "metrics/metric.h"

namespace wattle::inline report {

/// What the rows of a cell contribute to the metric that decides.
struct Scored {
  std::vector<RowScore> scores;
  std::vector<int64_t> place_of_row;  ///< in scores; negative: the row has no answer

  Scored(const CellResult& cell, size_t n_rows);
  /// Of a proportion.
  int64_t right() const;
};

/// Values of cells when rows are drawn with replacement, the same for all; times `sign`. A cell that answered
/// none of the rows of a draw has no number there.
class QualityDraws {
 public:
  QualityDraws(const Metric& metric, double sign, const std::vector<Scored>& cells, uint64_t seed,
               int n_draws);

  int size() const { return n_draws_; }
  double at(int draw, size_t cell) const { return values_[static_cast<size_t>(draw) * n_cells_ + cell]; }
  /// The greatest of all cells.
  double best(int draw) const;
  /// Of the cell's value over the draws where it is defined.
  double deviation(size_t cell) const;
  /// Of the difference of two cells.
  double deviation(size_t a, size_t b) const;

 private:
  size_t n_cells_;
  int n_draws_;
  std::vector<double> values_;
};

}  // namespace wattle::inline report
