// chrF (Popovic 2015) and chrF++ (Popovic 2017) of a corpus, as sacrebleu computes them: beta 2, n-grams of
// up to six characters (without white space) and two words.
#include <algorithm>

#include "jinja/text.h"
#include "metrics/access.h"
#include "metrics/kinds.h"
#include "metrics/ngrams.h"
#include "metrics/words.h"
#include "text/unicode_classes.h"

namespace wattle::inline metrics {
namespace {

constexpr size_t kCharacterOrders = 6;

/// Words, with one sign of ASCII's punctuation cut off at the end, else at the beginning.
Words words_without_signs(std::string_view text) {
  Words words;
  for (std::string& word : split_at_spaces(text)) {
    const bool at_end = is_ascii_punctuation(static_cast<unsigned char>(word.back()));
    const bool at_begin = is_ascii_punctuation(static_cast<unsigned char>(word.front()));
    if (word.size() == 1 || (!at_end && !at_begin)) {
      words.push_back(std::move(word));
      continue;
    }
    const size_t cut = at_end ? word.size() - 1 : 1;
    words.push_back(word.substr(0, cut));
    words.push_back(word.substr(cut));
  }
  return words;
}

/// The orders' average precision and recall, over those that both texts have. `counts`: for each order the
/// answer's n-grams, the reference's, the common ones.
double f_of_averages(std::span<const double> counts) {
  double precision = 0, recall = 0, orders = 0;
  for (size_t i = 0; i + 2 < counts.size(); i += 3) {
    if (counts[i] == 0 || counts[i + 1] == 0) continue;
    precision += counts[i + 2] / counts[i];
    recall += counts[i + 2] / counts[i + 1];
    ++orders;
  }
  if (precision + recall == 0) return 0;
  precision /= orders, recall /= orders;
  return 100 * 5 * precision * recall / (4 * precision + recall);
}

struct ChrfText {
  std::u32string characters, words;
};

template <size_t word_orders>
class Chrf final : public AdditiveMetric {
 public:
  using AdditiveMetric::AdditiveMetric;

  /// The counts of f_of_averages with the reference that gives most.
  RowScore row(const Answer& answer, const Truth& truth) const override {
    WordNumbers numbers;
    const ChrfText ours = read(answered_text(answer), numbers);
    RowScore best;
    for (const std::string& reference : references(truth)) {
      RowScore row = compare(ours, read(reference, numbers));
      if (best.empty() || f_of_averages(row) > f_of_averages(best)) best = std::move(row);
    }
    return best;
  }

 private:
  double of_sums(std::span<const double> sums, double) const override { return f_of_averages(sums); }

  static ChrfText read(std::string_view text, WordNumbers& numbers) {
    ChrfText read{code_points(text), {}};
    std::erase_if(read.characters, jinja::is_space);
    if (word_orders > 0) read.words = numbers(words_without_signs(text));
    return read;
  }

  static RowScore compare(const ChrfText& ours, const ChrfText& theirs) {
    RowScore row;
    const auto add = [&](std::u32string_view a, std::u32string_view b, size_t n) {
      const int64_t wanted = ngrams_of(b.size(), n);
      // sacrebleu counts no n-gram of the answer where the reference has none.
      row.push_back(wanted == 0 ? 0 : static_cast<double>(ngrams_of(a.size(), n)));
      row.push_back(static_cast<double>(wanted));
      row.push_back(static_cast<double>(common_ngrams(count_ngrams(a, n), count_ngrams(b, n))));
    };
    for (size_t n = 1; n <= kCharacterOrders; ++n) add(ours.characters, theirs.characters, n);
    for (size_t n = 1; n <= word_orders; ++n) add(ours.words, theirs.words, n);
    return row;
  }
};

constexpr MetricKind kMetrics[] = {
    {{"chrf", "F2 of n-grams of characters, 0 to 100"}, made<Chrf<0>>},
    {{"chrf++", "F2 of n-grams of characters and words, 0 to 100"}, made<Chrf<2>>},
};

}  // namespace

std::span<const MetricKind> chrf_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
