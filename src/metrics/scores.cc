// Correlations and errors of numbers.
#include <algorithm>
#include <cmath>
#include <limits>

#include "metrics/access.h"
#include "metrics/kinds.h"

namespace wattle::inline metrics {
namespace {

constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();

/// A row: answer, truth.
class MetricOfPairs : public MetricWithCard {
 public:
  using MetricWithCard::MetricWithCard;
  RowScore row(const Answer& answer, const Truth& truth) const final {
    return {answered_score(answer), right_score(truth)};
  }
};

/// Of x(place) and y(place). Answers that are all the same tell nothing: 0. Truths that are: not defined.
template <typename X, typename Y>
double correlation(std::span<const int64_t> places, const X& x, const Y& y) {
  const auto n = static_cast<double>(places.size());
  double mean_x = 0, mean_y = 0;
  for (const int64_t place : places) mean_x += x(place), mean_y += y(place);
  mean_x /= n, mean_y /= n;
  double xx = 0, yy = 0, xy = 0;
  for (const int64_t place : places) {
    const double dx = x(place) - mean_x, dy = y(place) - mean_y;
    xx += dx * dx, yy += dy * dy, xy += dx * dy;
  }
  if (yy == 0) return kUndefined;
  return xx == 0 ? 0 : std::clamp(xy / (std::sqrt(xx) * std::sqrt(yy)), -1.0, 1.0);
}

class Pearson final : public MetricOfPairs {
 public:
  using Metric::value;
  using MetricOfPairs::MetricOfPairs;
  double value(std::span<const RowScore> rows, std::span<const int64_t> places) const override {
    require_rows(places.size());
    return correlation(
        places, [&](int64_t place) { return rows[place].at(0); },
        [&](int64_t place) { return rows[place].at(1); });
  }
};

/// Ranks of draws from one list of numbers. The list is sorted once; a draw counts how often each number
/// came, which gives its ranks without sorting again.
class Ranks {
 public:
  explicit Ranks(std::vector<double> values) {
    std::vector<double> distinct = values;
    std::ranges::sort(distinct);
    const auto repeated = std::ranges::unique(distinct);
    distinct.erase(repeated.begin(), repeated.end());
    for (const double value : values) {
      order_.push_back(static_cast<size_t>(std::ranges::lower_bound(distinct, value) - distinct.begin()));
    }
    ranks_.resize(distinct.size());
  }

  void draw(std::span<const int64_t> places) {
    std::ranges::fill(ranks_, 0.0);
    for (const int64_t place : places) ++ranks_[order_[static_cast<size_t>(place)]];
    double before = 0;
    for (double& rank : ranks_) {
      const double ties = rank;
      rank = before + (ties + 1) / 2;
      before += ties;
    }
  }
  /// Mean of the ranks that its ties share, from 1.
  double operator()(int64_t place) const { return ranks_[order_[static_cast<size_t>(place)]]; }

 private:
  std::vector<size_t> order_;  // of each row's number among the distinct ones
  std::vector<double> ranks_;
};

class Spearman final : public MetricOfPairs {
 public:
  using Metric::value;
  using MetricOfPairs::MetricOfPairs;
  double value(std::span<const RowScore> rows, std::span<const int64_t> places) const override {
    return over(rows)(places);
  }
  ValueOfPlaces over(std::span<const RowScore> rows) const override {
    std::vector<double> answers, truths;
    for (const RowScore& row : rows) answers.push_back(row.at(0)), truths.push_back(row.at(1));
    return [this, x = Ranks(answers), y = Ranks(truths)](std::span<const int64_t> places) mutable {
      require_rows(places.size());
      x.draw(places), y.draw(places);
      return correlation(places, x, y);
    };
  }
};

double absolute_error(const Answer& answer, const Truth& truth) {
  return std::abs(answered_score(answer) - right_score(truth));
}

/// A row: square of the error.
class RootMeanSquareError final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;
  RowScore row(const Answer& answer, const Truth& truth) const override {
    const double error = answered_score(answer) - right_score(truth);
    return {error * error};
  }

 private:
  double of_sums(std::span<const double> sums, double rows) const override {
    return std::sqrt(sums[0] / rows);
  }
};

/// Where all truths are the same: 1 if all are met, else 0, as scikit-learn's r2_score.
class Determination final : public MetricOfPairs {
 public:
  using Metric::value;
  using MetricOfPairs::MetricOfPairs;
  double value(std::span<const RowScore> rows, std::span<const int64_t> places) const override {
    require_rows(places.size());
    double mean = 0, left = 0, all = 0;
    for (const int64_t place : places) mean += rows[place].at(1) / static_cast<double>(places.size());
    for (const int64_t place : places) {
      const double error = rows[place][1] - rows[place].at(0), distance = rows[place][1] - mean;
      left += error * error, all += distance * distance;
    }
    if (all == 0) return left == 0 ? 1 : 0;
    return 1 - left / all;
  }
};

constexpr MetricKind kMetrics[] = {
    {{"spearman", "correlation of ranks, -1 to 1"}, made<Spearman>},
    {{"pearson", "correlation, -1 to 1"}, made<Pearson>},
    {{"rmse", "root of the mean square error, 0 and more", false}, made<RootMeanSquareError>},
    {{"mae", "mean absolute error, 0 and more", false}, mean_of<absolute_error>},
    {{"r2", "share of the truths' variance that is explained, up to 1"}, made<Determination>},
};

}  // namespace

std::span<const MetricKind> score_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
