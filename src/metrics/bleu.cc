// BLEU (Papineni et al. 2002) of a corpus, as sacrebleu (Post 2018) and as COCO's evaluation compute it.
#include <algorithm>
#include <array>
#include <cmath>

#include "metrics/access.h"
#include "metrics/bleu_words.h"
#include "metrics/kinds.h"
#include "metrics/ngrams.h"

namespace wattle::inline metrics {
namespace {

constexpr size_t kOrders = 4;

/// A row: words, words of the reference whose length is nearest (of two the shorter); for n = 1 to 4 how many
/// n-grams a reference has, how many there are.
RowScore matches_of(const Words& answer, std::span<const std::string> references,
                    Words (*words_of)(std::string_view)) {
  WordNumbers numbers;
  const std::u32string ours = numbers(answer);
  std::vector<std::u32string> theirs;
  for (const std::string& reference : references) theirs.push_back(numbers(words_of(reference)));
  const auto length = std::ssize(ours);
  const auto nearest = std::ranges::min_element(theirs, {}, [&](const std::u32string& reference) {
    return std::pair(std::abs(std::ssize(reference) - length), std::ssize(reference));
  });
  RowScore row(2 + 2 * kOrders);
  row[0] = static_cast<double>(length);
  row[1] = static_cast<double>(nearest->size());
  for (size_t n = 1; n <= kOrders; ++n) {
    std::vector<NgramCount> wanted;
    for (const std::u32string& reference : theirs)
      wanted = greater_counts(wanted, count_ngrams(reference, n));
    row[2 * n] = static_cast<double>(common_ngrams(count_ngrams(ours, n), wanted));
    row[2 * n + 1] = static_cast<double>(ngrams_of(ours.size(), n));
  }
  return row;
}

/// Smoothed exponentially: the k-th order without a match counts 1 / 2^k matches.
template <Words (*words_of)(std::string_view)>
class Bleu final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;
  RowScore row(const Answer& answer, const Truth& truth) const override {
    return matches_of(words_of(answered_text(answer)), references(truth), words_of);
  }

 private:
  double of_sums(std::span<const double> sums, double) const override {
    const double answered = sums[0], wanted = sums[1];
    double halves = 1, logarithms = 0;
    bool any = false;
    for (size_t n = 1; n <= kOrders; ++n) {
      const double matches = sums[2 * n], all = sums[2 * n + 1];
      if (all == 0) return 0;
      any |= matches > 0;
      logarithms += std::log((matches > 0 ? matches : 1 / (halves *= 2)) / all);
    }
    if (!any) return 0;
    const double brevity = answered < wanted ? std::exp(1 - wanted / answered) : 1;
    return 100 * brevity * std::exp(logarithms / kOrders);
  }
};

/// Without smoothing but for what keeps it from dividing by 0.
class CocoBleu final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;
  RowScore row(const Answer& answer, const Truth& truth) const override {
    return matches_of(words_of_caption(answered_text(answer)), references(truth), words_of_caption);
  }

 private:
  double of_sums(std::span<const double> sums, double) const override {
    constexpr double kSmall = 1e-9, kTiny = 1e-15;
    double product = 1;
    for (size_t n = 1; n <= kOrders; ++n) product *= (sums[2 * n] + kTiny) / (sums[2 * n + 1] + kSmall);
    const double ratio = (sums[0] + kTiny) / (sums[1] + kSmall);
    return std::pow(product, 1.0 / kOrders) * (ratio < 1 ? std::exp(1 - 1 / ratio) : 1);
  }
};

constexpr MetricKind kMetrics[] = {
    {{"bleu", "BLEU of the corpus, words of mteval-v13a, 0 to 100"}, made<Bleu<words_13a>>},
    {{"bleu_zh", "BLEU of the corpus, Chinese characters as words, 0 to 100"}, made<Bleu<words_zh>>},
    {{"bleu_char", "BLEU of the corpus, characters as words, 0 to 100"}, made<Bleu<words_char>>},
    {{"coco_bleu_4", "BLEU-4 of captions, 0 to 1"}, made<CocoBleu>},
};

}  // namespace

std::span<const MetricKind> bleu_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
