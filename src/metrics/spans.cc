// Metrics of named entities and other labelled spans.
#include <algorithm>
#include <tuple>

#include <wattle/error.h>

#include "metrics/kinds.h"
#include "metrics/ngrams.h"

namespace wattle::inline metrics {
namespace {

using Place = std::tuple<int64_t, int64_t, std::string_view>;

/// Each span once.
std::vector<Place> places_of(std::span<const Span> spans) {
  std::vector<Place> places;
  for (const Span& span : spans) places.emplace_back(span.begin, span.end, span.label);
  std::ranges::sort(places);
  const auto repeated = std::ranges::unique(places);
  places.erase(repeated.begin(), repeated.end());
  return places;
}

/// seqeval's f1_score in its strict mode, average="micro": begin, end and label must be right. A row: right
/// spans, answered, wanted.
class SpanF1 final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;
  RowScore row(const Answer& answer, const Truth& truth) const override {
    const auto* spans = std::get_if<SpansAnswer>(&answer.value);
    if (spans == nullptr)
      fail("the answer has no spans; choose a metric of another kind, or a model that labels tokens");
    const auto* right = std::get_if<SpansTruth>(&truth);
    if (right == nullptr) fail("the row's truth has no spans; choose a metric of another kind");
    const auto answered = places_of(spans->spans), wanted = places_of(right->spans);
    std::vector<Place> matches;
    std::ranges::set_intersection(answered, wanted, std::back_inserter(matches));
    return {static_cast<double>(matches.size()), static_cast<double>(answered.size()),
            static_cast<double>(wanted.size())};
  }

 private:
  double of_sums(std::span<const double> sums, double) const override {
    return f_measure(sums[0], sums[1], sums[2]);
  }
};

constexpr MetricKind kMetrics[] = {
    {{"span_f1", "F1 of spans whose begin, end and label are all right, 0 to 1"}, made<SpanF1>},
};

}  // namespace

std::span<const MetricKind> span_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
