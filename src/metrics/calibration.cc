// Whether a classifier's probabilities mean what they say.
#include <algorithm>
#include <cmath>
#include <limits>

#include "metrics/access.h"
#include "metrics/kinds.h"

namespace wattle::inline metrics {
namespace {

constexpr size_t kBins = 15;

/// Guo et al. 2017: bins of equal width, (lower, upper], by the probability of the answered label. A row: for
/// each bin the probability less 1 where it is right; 0 in the other bins.
class ExpectedCalibrationError final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;
  RowScore row(const Answer& answer, const Truth& truth) const override {
    const LabelAnswer& label = label_answer(answer);
    const double confidence = probabilities(label)[static_cast<size_t>(label.label)];
    size_t bin = 0;
    while (bin + 1 < kBins && confidence > static_cast<double>(bin + 1) * (1.0 / kBins)) ++bin;
    RowScore row(kBins);
    row[bin] = confidence - (label.name() == right_label(truth) ? 1 : 0);
    return row;
  }

 private:
  double of_sums(std::span<const double> sums, double rows) const override {
    double all = 0;
    for (const double sum : sums) all += std::abs(sum);
    return all / rows;
  }
};

/// Brier 1950, halved so that it lies between 0 and 1 for any number of labels (scikit-learn's
/// brier_score_loss, scale_by_half=True).
double brier(const Answer& answer, const Truth& truth) {
  const LabelAnswer& label = label_answer(answer);
  const auto scores = probabilities(label);
  const int64_t right = place_of_label(label, right_label(truth));
  double sum = right < 0 ? 1 : 0;  // of a label that the model does not know
  for (int64_t i = 0; i < std::ssize(scores); ++i) {
    const double error = static_cast<double>(scores[static_cast<size_t>(i)]) - (i == right ? 1 : 0);
    sum += error * error;
  }
  return sum / 2;
}

/// Probabilities below the smallest step of a float are raised to it (scikit-learn's log_loss).
double log_loss(const Answer& answer, const Truth& truth) {
  constexpr double kLeast = std::numeric_limits<float>::epsilon();
  const LabelAnswer& label = label_answer(answer);
  const auto scores = probabilities(label);
  const int64_t right = place_of_label(label, right_label(truth));
  const double p = right < 0 ? 0 : scores[static_cast<size_t>(right)];
  return -std::log(std::clamp(p, kLeast, 1 - kLeast));
}

constexpr MetricKind kMetrics[] = {
    {{"calibration_error", "mean distance of probabilities from shares of right labels, in 15 bins, 0 to 1",
      false},
     made<ExpectedCalibrationError>},
    {{"brier", "mean square error of the labels' probabilities, 0 to 1", false}, mean_of<brier>},
    {{"log_loss", "mean of -ln of the right label's probability, 0 to 15.95", false}, mean_of<log_loss>},
};

}  // namespace

std::span<const MetricKind> calibration_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
