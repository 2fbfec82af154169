#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <wattle/statistics.h>

#include "metrics/truth.h"
#include "tasks/answer.h"

namespace wattle::inline metrics {

/// What one row contributes to a metric: the sufficient statistics, few numbers whose meaning is the metric's
/// own (right or wrong; matches and lengths of n-grams; true positives and both counts). The store keeps
/// these, so that every figure can be computed again without the answers.
using RowScore = std::vector<double>;

/// A metric's value over the rows at places, repeats counted.
using ValueOfPlaces = std::function<double(std::span<const int64_t> places)>;

/// Scores one answer against its truth, and sums rows up to a value with an interval. Knows no model.
class Metric {
 public:
  virtual ~Metric() = default;

  virtual std::string_view name() const = 0;  ///< as plans write it: "accuracy", "rouge_l"
  /// In words, with the value's range: "share of right answers, 0 to 1".
  virtual std::string_view description() const = 0;
  virtual bool greater_is_better() const { return true; }
  /// Whether a row's score is one number, 1 or 0, and the value their share: then Wilson's interval,
  /// McNemar's test and the probability of a bar are exact.
  virtual bool is_proportion() const { return false; }

  /// Error for an answer or a truth of another kind than the metric scores.
  virtual RowScore row(const Answer& answer, const Truth& truth) const = 0;
  /// The value over the rows at `places` (at least one), repeats counted; not a number where it is not
  /// defined for them.
  virtual double value(std::span<const RowScore> rows, std::span<const int64_t> places) const = 0;
  /// The same for many draws from rows: what all draws share (ranks) is computed once. Lives no longer than
  /// the rows and the metric; one thread at a time.
  virtual ValueOfPlaces over(std::span<const RowScore> rows) const;

  /// Over all rows. Error where there are none, or where the value is not defined.
  double value(std::span<const RowScore> rows) const;
  /// With its 95 % interval: Wilson's of a proportion, else the bootstrap over rows. Error as above.
  Interval interval(std::span<const RowScore> rows, uint64_t seed) const;

 protected:
  void require_rows(size_t rows) const;

 private:
  void require_defined(double value) const;
};

/// The metric of that name. `labels` are the data's, for metrics of classes; `truths` those of all rows that
/// will be scored, for metrics that weigh words by them (cider_d). Error naming the metrics there are.
std::unique_ptr<const Metric> make_metric(std::string_view name, std::span<const std::string> labels = {},
                                          std::span<const Truth> truths = {});

/// All names, as plans write them.
std::vector<std::string> metric_names();

/// a - b on the same rows, with its 95 % interval (the bootstrap draws rows, the same for both). Error when
/// they differ in number.
Interval paired_difference(const Metric& metric, std::span<const RowScore> a, std::span<const RowScore> b,
                           uint64_t seed);

/// The two-sided p of two being equally good at a proportion on the same rows, by McNemar's exact test. Error
/// for a metric that is none, and when the rows differ in number.
double paired_test(const Metric& metric, std::span<const RowScore> a, std::span<const RowScore> b);

}  // namespace wattle::inline metrics
