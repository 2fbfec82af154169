// CIDEr-D (Vedantam et al. 2015) as COCO's evaluation computes it.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <wattle/error.h>

#include "metrics/access.h"
#include "metrics/bleu_words.h"
#include "metrics/kinds.h"

namespace wattle::inline metrics {
namespace {

constexpr size_t kOrders = 4;
constexpr double kSigma = 6;  // of the penalty for another length

using Counts = std::map<std::string, double>;  // ordered, so that sums are the same everywhere

std::array<Counts, kOrders> count(std::string_view caption) {
  const Words words = words_of_caption(caption);
  std::array<Counts, kOrders> counts;
  for (size_t begin = 0; begin < words.size(); ++begin) {
    std::string gram;
    for (size_t n = 0; n < kOrders && begin + n < words.size(); ++n) {
      gram += words[begin + n] + ' ';
      ++counts[n][gram];
    }
  }
  return counts;
}

/// An n-gram weighs the more the fewer of all rows' references have it. With these frequencies, which are the
/// data's and not the answers', a row's score depends on no other row, and the corpus' value is their mean:
/// so the bootstrap over rows is right for it.
class CiderD final : public AdditiveMetric {
 public:
  CiderD(const MetricCard& card, std::span<const Truth> truths) : AdditiveMetric(card) {
    for (const Truth& truth : truths) {
      Counts of_row;
      for (const std::string& reference : references(truth)) {
        for (const Counts& counts : count(reference)) of_row.insert(counts.begin(), counts.end());
      }
      for (const auto& [gram, times] : of_row) ++rows_with_[gram];
    }
    log_rows_ = std::log(static_cast<double>(truths.size()));
  }

  RowScore row(const Answer& answer, const Truth& truth) const override {
    const Weights ours = weigh(answered_text(answer));
    const auto& captions = references(truth);
    double sum = 0;
    for (const std::string& caption : captions) sum += similarity(ours, weigh(caption));
    return {10 * sum / kOrders / static_cast<double>(captions.size())};
  }

 private:
  struct Weights {
    std::array<Counts, kOrders> weights;
    std::array<double, kOrders> norms{};
    double pairs = 0;  // the length is counted in pairs of words
  };

  Weights weigh(std::string_view caption) const {
    Weights result{count(caption)};
    for (const auto& [gram, times] : result.weights[1]) result.pairs += times;
    for (size_t n = 0; n < kOrders; ++n) {
      for (auto& [gram, weight] : result.weights[n]) {
        const auto found = rows_with_.find(gram);
        weight *= log_rows_ - std::log(found == rows_with_.end() ? 1 : found->second);
        result.norms[n] += weight * weight;
      }
      result.norms[n] = std::sqrt(result.norms[n]);
    }
    return result;
  }

  static double similarity(const Weights& ours, const Weights& theirs) {
    const double longer = ours.pairs - theirs.pairs;
    const double penalty = std::exp(-longer * longer / (2 * kSigma * kSigma));
    double sum = 0;
    for (size_t n = 0; n < kOrders; ++n) {
      double product = 0;
      for (const auto& [gram, weight] : ours.weights[n]) {
        const auto found = theirs.weights[n].find(gram);
        if (found != theirs.weights[n].end()) product += std::min(weight, found->second) * found->second;
      }
      const double norms = ours.norms[n] * theirs.norms[n];
      sum += penalty * (norms > 0 ? product / norms : product);
    }
    return sum;
  }

  Counts rows_with_;
  double log_rows_ = 0;
};

std::unique_ptr<const Metric> make_cider_d(const MetricCard& card, const MetricData& data) {
  if (data.truths.empty()) fail("{} weighs words by the references of all rows; give them", card.name);
  return std::make_unique<CiderD>(card, data.truths);
}

constexpr MetricKind kMetrics[] = {
    {{"cider_d", "mean likeness of captions by weighed n-grams, 0 to 10"}, make_cider_d},
};

}  // namespace

std::span<const MetricKind> cider_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
