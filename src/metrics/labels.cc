// Metrics of classes.
#include <algorithm>

#include <wattle/error.h>

#include "metrics/access.h"
#include "metrics/kinds.h"
#include "metrics/words.h"

namespace wattle::inline metrics {
namespace {

double is_right(const Answer& answer, const Truth& truth) {
  return answered_label(answer) == right_label(truth) ? 1 : 0;
}

/// A row: places of the truth and of the answer among the data's labels.
class MacroF1 final : public MetricWithCard {
 public:
  using Metric::value;
  MacroF1(const MetricCard& card, std::span<const std::string> labels)
      : MetricWithCard(card), labels_(labels.begin(), labels.end()) {}

  RowScore row(const Answer& answer, const Truth& truth) const override {
    return {place(right_label(truth)), place(answered_label(answer))};
  }
  double value(std::span<const RowScore> rows, std::span<const int64_t> places) const override {
    require_rows(places.size());
    std::vector<double> right(labels_.size()), seen(labels_.size());
    for (const int64_t place : places) {
      const auto truth = static_cast<size_t>(rows[place].at(0)),
                 answer = static_cast<size_t>(rows[place].at(1));
      ++seen.at(truth), ++seen.at(answer);
      if (truth == answer) ++right[truth];
    }
    double sum = 0, present = 0;
    for (size_t label = 0; label < labels_.size(); ++label) {
      if (seen[label] == 0) continue;
      ++present;
      sum += 2 * right[label] / seen[label];
    }
    return sum / present;
  }

 private:
  double place(const std::string& label) const {
    const auto found = std::ranges::find(labels_, label);
    if (found == labels_.end())
      fail("\"{}\" is none of the labels of the data; train on these labels", label);
    return static_cast<double>(found - labels_.begin());
  }

  std::vector<std::string> labels_;
};

/// Equal probabilities go to the label that the model names first.
bool is_among_best_labels(const LabelAnswer& answer, const std::string& label, int64_t k) {
  const int64_t place = place_of_label(answer, label);
  if (place < 0) return false;
  const auto scores = probabilities(answer);
  const float own = scores[static_cast<size_t>(place)];
  int64_t before = 0;
  for (int64_t i = 0; i < std::ssize(scores); ++i) {
    const float other = scores[static_cast<size_t>(i)];
    before += other > own || (other == own && i < place);
  }
  return before < k;
}

/// Without regard to case, which models of lower-case texts do not know.
bool is_among_best_fills(const FillsAnswer& answer, std::span<const std::string> texts, int64_t k) {
  if (answer.masks.size() != 1) fail("the text has {} masks; ask for one word a row", answer.masks.size());
  const auto& fills = answer.masks[0];
  if (std::ssize(fills) < k) {
    fail("the answer has the {} likeliest words, and the metric looks at {}; ask for more", fills.size(), k);
  }
  return std::any_of(fills.begin(), fills.begin() + k, [&](const Fill& fill) {
    return std::ranges::any_of(texts, [&](const std::string& text) {
      return lowered(trimmed(fill.token)) == lowered(trimmed(text));
    });
  });
}

template <int64_t k>
double is_among_best(const Answer& answer, const Truth& truth) {
  if (const auto* fills = std::get_if<FillsAnswer>(&answer.value)) {
    return is_among_best_fills(*fills, references(truth), k) ? 1 : 0;
  }
  return is_among_best_labels(label_answer(answer), right_label(truth), k) ? 1 : 0;
}

std::unique_ptr<const Metric> make_macro_f1(const MetricCard& card, const MetricData& data) {
  return std::make_unique<MacroF1>(card, data.labels);
}

constexpr MetricKind kMetrics[] = {
    {{"accuracy", "share of right labels, 0 to 1", true, true}, mean_of<is_right>},
    // scikit-learn's f1_score, average="macro": over the labels that occur as a truth or an answer.
    {{"macro_f1", "mean of the labels' F1, 0 to 1"}, make_macro_f1},
    {{"top_1", "share of rows whose likeliest label or word is right, 0 to 1", true, true},
     mean_of<is_among_best<1>>},
    {{"top_5", "share of rows with the right label or word among the five likeliest, 0 to 1", true, true},
     mean_of<is_among_best<5>>},
};

}  // namespace

std::span<const MetricKind> label_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
