// Metrics of answers that a context holds.
#include <algorithm>
#include <limits>

#include "metrics/access.h"
#include "metrics/kinds.h"
#include "metrics/ngrams.h"
#include "metrics/squad.h"
#include "text/unicode_classes.h"

namespace wattle::inline metrics {

Words words_of_answer(std::string_view text) {
  std::u32string plain = lowered(code_points(text));
  std::erase_if(plain, is_ascii_punctuation);
  std::u32string kept;
  for (size_t i = 0; i < plain.size();) {
    size_t end = i;
    while (end < plain.size() && is_word_character(plain[end])) ++end;
    const std::u32string_view word = std::u32string_view(plain).substr(i, end - i);
    kept += word == U"a" || word == U"an" || word == U"the" ? U" " : word;
    if (end < plain.size()) kept += plain[end++];
    i = end;
  }
  return split_at_spaces(to_utf8(kept));
}

double squad_exact_match(std::string_view answer, std::string_view reference) {
  return words_of_answer(answer) == words_of_answer(reference) ? 1 : 0;
}

double squad_f1(std::string_view answer, std::string_view reference) {
  WordNumbers numbers;
  const auto ours = numbers(words_of_answer(answer)), theirs = numbers(words_of_answer(reference));
  if (ours.empty() || theirs.empty()) return ours.empty() && theirs.empty() ? 1 : 0;
  const int64_t common = common_ngrams(count_ngrams(ours, 1), count_ngrams(theirs, 1));
  return f_measure(static_cast<double>(common), static_cast<double>(ours.size()),
                   static_cast<double>(theirs.size()));
}

namespace {

/// Of the best reference; without any the right answer is empty.
template <double (*compare)(std::string_view, std::string_view)>
double best(const Answer& answer, const Truth& truth) {
  const std::string& text = answered_text(answer);
  double best = 0;
  bool any = false;  // references without words are none
  for (const std::string& reference : right_texts(truth)) {
    if (words_of_answer(reference).empty()) continue;
    best = std::max(best, compare(text, reference));
    any = true;
  }
  return any ? best : compare(text, "");
}

/// NoAns_exact of SQuAD 2's evaluation. A row: rightly without an answer; without an answer.
class NoAnswerAccuracy final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;
  RowScore row(const Answer& answer, const Truth& truth) const override {
    const std::string& text = answered_text(answer);
    const bool answerable = std::ranges::any_of(right_texts(truth), [](const auto& t) { return !t.empty(); });
    if (answerable) return {0, 0};
    return {squad_exact_match(text, ""), 1};
  }

 private:
  double of_sums(std::span<const double> sums, double) const override {
    return sums[1] == 0 ? std::numeric_limits<double>::quiet_NaN() : sums[0] / sums[1];
  }
};

constexpr MetricKind kMetrics[] = {
    {{"exact_match", "share of answers with the words of a reference, 0 to 1", true, true},
     mean_of<best<squad_exact_match>>},
    {{"answer_f1", "mean F1 of the answers' words, 0 to 1"}, mean_of<best<squad_f1>>},
    {{"no_answer_accuracy", "share of questions without an answer of which the model says so, 0 to 1"},
     made<NoAnswerAccuracy>},
};

}  // namespace

std::span<const MetricKind> extraction_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
