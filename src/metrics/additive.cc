#include "metrics/additive.h"

#include <utility>

#include <wattle/error.h>

namespace wattle::inline metrics {

double AdditiveMetric::value(std::span<const RowScore> rows, std::span<const int64_t> places) const {
  return over(rows)(places);
}

ValueOfPlaces AdditiveMetric::over(std::span<const RowScore> rows) const {
  const size_t width = rows.empty() ? 0 : rows[0].size();
  std::vector<double> numbers;  // [rows, width]
  numbers.reserve(rows.size() * width);
  for (const RowScore& row : rows) {
    if (row.size() != width || width == 0) {
      fail("rows of {} and {} numbers are not all of {}; score them again", width, row.size(), name());
    }
    numbers.insert(numbers.end(), row.begin(), row.end());
  }
  std::vector<double> sums(width);
  return
      [this, numbers = std::move(numbers), sums = std::move(sums)](std::span<const int64_t> places) mutable {
        require_rows(places.size());
        std::ranges::fill(sums, 0.0);
        for (const int64_t place : places) {
          const double* const row = numbers.data() + static_cast<size_t>(place) * sums.size();
          for (size_t i = 0; i < sums.size(); ++i) sums[i] += row[i];
        }
        return of_sums(sums, static_cast<double>(places.size()));
      };
}

}  // namespace wattle::inline metrics
