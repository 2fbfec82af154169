#include "metrics/rouge.h"

#include <algorithm>
#include <map>

#include "metrics/access.h"
#include "metrics/kinds.h"
#include "metrics/ngrams.h"
#include "metrics/porter.h"

namespace wattle::inline metrics {
namespace {

/// Lengths of the longest common subsequences of beginnings: [a + 1, b + 1].
class CommonSubsequences {
 public:
  CommonSubsequences(std::u32string_view a, std::u32string_view b)
      : a_(a), b_(b), lengths_((a.size() + 1) * (b.size() + 1)) {
    for (size_t i = 0; i < a.size(); ++i) {
      for (size_t j = 0; j < b.size(); ++j) {
        at(i + 1, j + 1) = a[i] == b[j] ? at(i, j) + 1 : std::max(at(i, j + 1), at(i + 1, j));
      }
    }
  }

  /// Marks the words of `a` that are in the one that is found from the ends; of two ways the shorter `a`.
  void mark(std::vector<bool>& words) {
    for (size_t i = a_.size(), j = b_.size(); i > 0 && j > 0;) {
      if (a_[i - 1] == b_[j - 1]) {
        words[--i] = true, --j;
      } else if (at(i, j - 1) > at(i - 1, j)) {
        --j;
      } else {
        --i;
      }
    }
  }

 private:
  int32_t& at(size_t i, size_t j) { return lengths_[i * (b_.size() + 1) + j]; }

  std::u32string_view a_, b_;
  std::vector<int32_t> lengths_;
};

/// Two rows of the table are enough for the length.
int64_t longest_common(std::u32string_view a, std::u32string_view b) {
  std::vector<int64_t> previous(b.size() + 1), current(b.size() + 1);
  for (const char32_t word : a) {
    for (size_t j = 0; j < b.size(); ++j) {
      current[j + 1] = word == b[j] ? previous[j] + 1 : std::max(previous[j + 1], current[j]);
    }
    std::swap(previous, current);
  }
  return previous.back();
}

double f_of(int64_t matches, int64_t answered, int64_t wanted) {
  return f_measure(static_cast<double>(matches), static_cast<double>(answered), static_cast<double>(wanted));
}

std::vector<std::u32string> sentences(std::string_view text, bool stemmed, WordNumbers& numbers) {
  std::vector<std::u32string> sentences;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    sentences.push_back(numbers(words_of_summary(text.substr(begin, end - begin), stemmed)));
    begin = end + 1;
  }
  return sentences;
}

std::map<char32_t, int64_t> count_words(std::span<const std::u32string> sentences) {
  std::map<char32_t, int64_t> counts;
  for (const auto& sentence : sentences) {
    for (const char32_t word : sentence) ++counts[word];
  }
  return counts;
}

int64_t total(std::span<const std::u32string> sentences) {
  int64_t words = 0;
  for (const auto& sentence : sentences) words += std::ssize(sentence);
  return words;
}

}  // namespace

Words words_of_summary(std::string_view text, bool stemmed) {
  Words words;
  std::string word;
  const auto finish = [&] {
    if (word.empty()) return;
    words.push_back(stemmed && word.size() > 3 ? porter_stem(word) : word);
    word.clear();
  };
  for (const char c : lowered(text)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
      word += c;
    } else {
      finish();
    }
  }
  finish();
  return words;
}

double rouge_n(std::string_view summary, std::string_view reference, int n, bool stemmed) {
  WordNumbers numbers;
  const auto size = static_cast<size_t>(n);
  const auto ours = numbers(words_of_summary(summary, stemmed)),
             theirs = numbers(words_of_summary(reference, stemmed));
  return f_of(common_ngrams(count_ngrams(ours, size), count_ngrams(theirs, size)),
              ngrams_of(ours.size(), size), ngrams_of(theirs.size(), size));
}

double rouge_l(std::string_view summary, std::string_view reference, bool stemmed) {
  WordNumbers numbers;
  const auto ours = numbers(words_of_summary(summary, stemmed)),
             theirs = numbers(words_of_summary(reference, stemmed));
  return f_of(longest_common(ours, theirs), std::ssize(ours), std::ssize(theirs));
}

double rouge_lsum(std::string_view summary, std::string_view reference, bool stemmed) {
  WordNumbers numbers;
  const auto ours = sentences(summary, stemmed, numbers), theirs = sentences(reference, stemmed, numbers);
  // No word counts more often than both texts have it.
  auto left = count_words(ours), wanted = count_words(theirs);
  int64_t matches = 0;
  for (const std::u32string& sentence : theirs) {
    std::vector<bool> common(sentence.size());
    for (const std::u32string& other : ours) CommonSubsequences(sentence, other).mark(common);
    for (size_t i = 0; i < sentence.size(); ++i) {
      if (!common[i] || left[sentence[i]] == 0 || wanted[sentence[i]] == 0) continue;
      ++matches, --left[sentence[i]], --wanted[sentence[i]];
    }
  }
  return f_of(matches, total(ours), total(theirs));
}

namespace {

template <int n>
double ngrams(std::string_view summary, std::string_view reference, bool stemmed) {
  return rouge_n(summary, reference, n, stemmed);
}

/// Of the reference that gives most.
template <double (*compare)(std::string_view, std::string_view, bool), bool stemmed = false>
double best(const Answer& answer, const Truth& truth) {
  double best = 0;
  for (const std::string& reference : references(truth)) {
    best = std::max(best, compare(answered_text(answer), reference, stemmed));
  }
  return best;
}

constexpr MetricKind kMetrics[] = {
    {{"rouge_1", "mean F of words, 0 to 1"}, mean_of<best<ngrams<1>>>},
    {{"rouge_2", "mean F of pairs of words, 0 to 1"}, mean_of<best<ngrams<2>>>},
    {{"rouge_l", "mean F of the longest common subsequence of words, 0 to 1"}, mean_of<best<rouge_l>>},
    {{"rouge_lsum", "mean F of the union of lines' common subsequences, 0 to 1"}, mean_of<best<rouge_lsum>>},
    {{"rouge_1_stemmed", "mean F of stems, 0 to 1"}, mean_of<best<ngrams<1>, true>>},
    {{"rouge_2_stemmed", "mean F of pairs of stems, 0 to 1"}, mean_of<best<ngrams<2>, true>>},
    {{"rouge_l_stemmed", "mean F of the longest common subsequence of stems, 0 to 1"},
     mean_of<best<rouge_l, true>>},
    {{"rouge_lsum_stemmed", "mean F of the union of lines' common subsequences of stems, 0 to 1"},
     mean_of<best<rouge_lsum, true>>},
};

}  // namespace

std::span<const MetricKind> rouge_metrics() {
  return kMetrics;
}

}  // namespace wattle::inline metrics
