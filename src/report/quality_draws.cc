#include "report/quality_draws.h"

#include <algorithm>
#include <cmath>

#include "statistics/descriptive.h"
#include "statistics/random.h"
#include "study/scoring.h"

namespace wattle::inline report {
namespace {

double deviation_of(std::vector<double> values) {
  std::erase_if(values, [](double value) { return std::isnan(value); });
  return values.empty() ? 0 : std::sqrt(variance(values));
}

}  // namespace

Scored::Scored(const CellResult& cell, size_t n_rows)
    : scores(row_scores(cell, 0)), place_of_row(n_rows, -1) {
  for (size_t place = 0; place < scores.size(); ++place)
    place_of_row.at(static_cast<size_t>(cell.outputs[place].row)) = static_cast<int64_t>(place);
}

int64_t Scored::right() const {
  return std::count_if(scores.begin(), scores.end(), [](const RowScore& score) { return score[0] != 0; });
}

QualityDraws::QualityDraws(const Metric& metric, double sign, const std::vector<Scored>& cells, uint64_t seed,
                           int n_draws)
    : n_cells_(cells.size()), n_draws_(n_draws) {
  const auto n_rows = static_cast<int64_t>(cells.front().place_of_row.size());
  Random random(seed);
  std::vector<int64_t> rows(static_cast<size_t>(n_rows)), places;
  std::vector<ValueOfPlaces> values_of;
  for (const Scored& cell : cells) values_of.push_back(metric.over(cell.scores));
  for (int i = 0; i < n_draws; ++i) {
    for (int64_t& row : rows) row = random.below(n_rows);
    for (size_t c = 0; c < cells.size(); ++c) {
      places.clear();
      for (const int64_t row : rows) {
        const int64_t place = cells[c].place_of_row[static_cast<size_t>(row)];
        if (place >= 0) places.push_back(place);
      }
      values_.push_back(sign * (places.empty() ? NAN : values_of[c](places)));
    }
  }
}

double QualityDraws::best(int draw) const {
  double most = -INFINITY;
  for (size_t cell = 0; cell < n_cells_; ++cell) most = std::fmax(most, at(draw, cell));
  return most;
}

double QualityDraws::deviation(size_t cell) const {
  std::vector<double> values;
  for (int draw = 0; draw < n_draws_; ++draw) values.push_back(at(draw, cell));
  return deviation_of(std::move(values));
}

double QualityDraws::deviation(size_t a, size_t b) const {
  std::vector<double> values;
  for (int draw = 0; draw < n_draws_; ++draw) values.push_back(at(draw, a) - at(draw, b));
  return deviation_of(std::move(values));
}

}  // namespace wattle::inline report
