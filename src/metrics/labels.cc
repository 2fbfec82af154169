// Metrics of classes.
#include <algorithm>

#include <wattle/error.h>

#include "metrics/kinds.h"

namespace wattle {
namespace {

const std::string& answered_label(const Answer& answer) {
  const auto* label = std::get_if<LabelAnswer>(&answer.value);
  if (label == nullptr)
    fail("the answer is no label; choose a metric of another kind, or a model that classifies");
  return label->name();
}

const std::string& right_label(const Truth& truth) {
  const auto* label = std::get_if<LabelTruth>(&truth);
  if (label == nullptr) fail("the row's truth is no label; choose a metric of another kind");
  return label->label;
}

class Accuracy final : public Metric {
 public:
  using Metric::value;
  std::string_view name() const override { return "accuracy"; }
  std::string_view description() const override { return "share of right labels, 0 to 1"; }
  bool is_proportion() const override { return true; }
  RowScore row(const Answer& answer, const Truth& truth) const override {
    return {answered_label(answer) == right_label(truth) ? 1.0 : 0.0};
  }
  double value(std::span<const RowScore> rows, std::span<const int64_t> places) const override {
    double right = 0;
    for (const int64_t place : places) right += rows[place][0];
    return places.empty() ? 0 : right / static_cast<double>(places.size());
  }
};

class MacroF1 final : public Metric {
 public:
  using Metric::value;
  explicit MacroF1(std::span<const std::string> labels) : labels_(labels.begin(), labels.end()) {}
  std::string_view name() const override { return "macro_f1"; }
  std::string_view description() const override { return "mean of the labels' F1, 0 to 1"; }
  RowScore row(const Answer& answer, const Truth& truth) const override {
    return {place_of_label(right_label(truth)), place_of_label(answered_label(answer))};
  }
  double value(std::span<const RowScore> rows, std::span<const int64_t> places) const override {
    std::vector<double> right(labels_.size()), seen(labels_.size());
    for (const int64_t place : places) {
      const auto truth = static_cast<size_t>(rows[place][0]), answer = static_cast<size_t>(rows[place][1]);
      ++seen[truth], ++seen[answer];
      if (truth == answer) ++right[truth];
    }
    double sum = 0, present = 0;
    for (size_t label = 0; label < labels_.size(); ++label) {
      if (seen[label] == 0) continue;
      ++present;
      sum += 2 * right[label] / seen[label];
    }
    return present == 0 ? 0 : sum / present;
  }

 private:
  double place_of_label(const std::string& label) const {
    const auto found = std::ranges::find(labels_, label);
    if (found == labels_.end())
      fail("\"{}\" is none of the labels of the data; train on these labels", label);
    return static_cast<double>(found - labels_.begin());
  }

  std::vector<std::string> labels_;
};

}  // namespace

std::unique_ptr<const Metric> make_accuracy(std::span<const std::string> labels) {
  return std::make_unique<Accuracy>();
}

std::unique_ptr<const Metric> make_macro_f1(std::span<const std::string> labels) {
  return std::make_unique<MacroF1>(labels);
}

}  // namespace wattle
