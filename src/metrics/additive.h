#pragma once

#include <memory>
#include <span>
#include <string_view>

#include "metrics/metric.h"

namespace wattle::inline metrics {

/// What a metric says of itself.
struct MetricCard {
  std::string_view name, description;
  bool greater_is_better = true, is_proportion = false;
};

/// What a metric may have to know beforehand.
struct MetricData {
  std::span<const std::string> labels;
  std::span<const Truth> truths;
};

/// An entry of the registry.
struct MetricKind {
  MetricCard card;
  std::unique_ptr<const Metric> (*make)(const MetricCard& card, const MetricData& data);
};

class MetricWithCard : public Metric {
 public:
  explicit MetricWithCard(const MetricCard& card) : card_(card) {}
  std::string_view name() const override { return card_.name; }
  std::string_view description() const override { return card_.description; }
  bool greater_is_better() const override { return card_.greater_is_better; }
  bool is_proportion() const override { return card_.is_proportion; }

 private:
  MetricCard card_;
};

/// A metric whose value follows from the sums of its rows' numbers: a draw of the bootstrap costs one
/// addition a number and row. Not a number where it is not defined.
class AdditiveMetric : public MetricWithCard {
 public:
  using Metric::value;
  using MetricWithCard::MetricWithCard;
  double value(std::span<const RowScore> rows, std::span<const int64_t> places) const final;
  ValueOfPlaces over(std::span<const RowScore> rows) const final;

 protected:
  /// Of `rows` rows, at least one. By default the mean of the first number.
  virtual double of_sums(std::span<const double> sums, double rows) const { return sums[0] / rows; }
};

/// The mean of one number a row, which `score` gives.
template <double (*score)(const Answer&, const Truth&)>
std::unique_ptr<const Metric> mean_of(const MetricCard& card, const MetricData&) {
  class Mean final : public AdditiveMetric {
   public:
    using AdditiveMetric::AdditiveMetric;
    RowScore row(const Answer& answer, const Truth& truth) const override { return {score(answer, truth)}; }
  };
  return std::make_unique<Mean>(card);
}

template <typename Kind>
std::unique_ptr<const Metric> made(const MetricCard& card, const MetricData&) {
  return std::make_unique<Kind>(card);
}

}  // namespace wattle::inline metrics
