// Metrics of rankings; a row is a query. Documents of equal score come in any order, and the value is its
// mean over all of them: who scores everything the same gets no more than chance.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <wattle/error.h>

#include "metrics/kinds.h"

namespace wattle::inline metrics {
namespace {

constexpr int64_t kCutoff = 10;

/// Documents of equal score: the ranks begin .. end - 1, from 0.
struct Tie {
  int64_t begin = 0, end = 0, relevant = 0;
  double relevance = 0;  // summed

  double share_relevant() const { return static_cast<double>(relevant) / static_cast<double>(end - begin); }
};

const std::vector<double>& relevance_of(const Truth& truth) {
  const auto* right = std::get_if<RelevanceTruth>(&truth);
  if (right == nullptr) fail("the row's truth is no relevance of documents; choose a metric of another kind");
  for (const double relevance : right->relevance) {
    if (!(relevance >= 0) || !std::isfinite(relevance)) {
      fail("a relevance of {} was given; give 0 and more", relevance);
    }
  }
  return right->relevance;
}

std::vector<Tie> ranked(const Answer& answer, const std::vector<double>& relevance) {
  const auto* found = std::get_if<ScoresAnswer>(&answer.value);
  if (found == nullptr)
    fail("the answer does not rank documents; choose a metric of another kind, or a model that ranks");
  const auto& scores = found->scores;
  if (scores.size() != relevance.size()) {
    fail("{} documents were scored, and the truth is of {}; give one for each", scores.size(),
         relevance.size());
  }
  for (const double score : scores) {
    if (std::isnan(score)) fail("a document's score is not a number; look at the model");
  }
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return scores[i]; });
  std::vector<Tie> ties;
  for (int64_t rank = 0; rank < std::ssize(order); ++rank) {
    const size_t document = order[static_cast<size_t>(rank)];
    if (rank == 0 || scores[document] != scores[order[static_cast<size_t>(rank) - 1]])
      ties.push_back({rank, rank});
    Tie& tie = ties.back();
    tie.end = rank + 1;
    tie.relevant += relevance[document] > 0;
    tie.relevance += relevance[document];
  }
  return ties;
}

double discount(int64_t rank) {
  return 1 / std::log2(static_cast<double>(rank) + 2);
}

/// Jarvelin and Kekalainen 2002 with linear gain (trec_eval's, and scikit-learn's ndcg_score); 0 where no
/// document is relevant.
double ndcg(const Answer& answer, const Truth& truth) {
  std::vector<double> relevance = relevance_of(truth);
  double gain = 0, ideal = 0;
  for (const Tie& tie : ranked(answer, relevance)) {
    for (int64_t rank = tie.begin; rank < std::min(tie.end, kCutoff); ++rank) {
      gain += tie.relevance / static_cast<double>(tie.end - tie.begin) * discount(rank);
    }
  }
  std::ranges::sort(relevance, std::greater<>());
  for (int64_t rank = 0; rank < std::min(std::ssize(relevance), kCutoff); ++rank) {
    ideal += relevance[static_cast<size_t>(rank)] * discount(rank);
  }
  return ideal == 0 ? 0 : gain / ideal;
}

double recall(const Answer& answer, const Truth& truth) {
  double found = 0, all = 0;
  for (const Tie& tie : ranked(answer, relevance_of(truth))) {
    found += static_cast<double>(std::clamp<int64_t>(kCutoff - tie.begin, 0, tie.end - tie.begin)) *
             tie.share_relevant();
    all += static_cast<double>(tie.relevant);
  }
  return all == 0 ? 0 : found / all;
}

/// Of the first tie with a relevant document: the mean of 1 / rank over the places of the first one.
double reciprocal_rank(const Answer& answer, const Truth& truth) {
  for (const Tie& tie : ranked(answer, relevance_of(truth))) {
    if (tie.relevant == 0) continue;
    double none_before = 1, mean = 0;  // the probability that the relevant ones come later
    for (int64_t rank = tie.begin; rank < tie.end && none_before > 0; ++rank) {
      const double here =
          std::min(1.0, static_cast<double>(tie.relevant) / static_cast<double>(tie.end - rank));
      mean += none_before * here / static_cast<double>(rank + 1);
      none_before *= 1 - here;
    }
    return mean;
  }
  return 0;
}

constexpr MetricKind kMetrics[] = {
    {{"ndcg_10", "mean of the queries' nDCG at 10, 0 to 1"}, mean_of<ndcg>},
    {{"recall_10", "mean share of a query's relevant documents among the first 10, 0 to 1"}, mean_of<recall>},
    {{"mean_reciprocal_rank", "mean of 1 / rank of the first relevant document, 0 to 1"},
     mean_of<reciprocal_rank>},
};

}  // namespace

std::span<const MetricKind> ranking_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
