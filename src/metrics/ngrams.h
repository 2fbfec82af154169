#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace wattle::inline metrics {

struct NgramCount {
  std::u32string_view gram;
  int64_t count = 0;
};

/// The n-grams of characters, or of words as numbers (WordNumbers), each once, in order. They view `items`.
std::vector<NgramCount> count_ngrams(std::u32string_view items, size_t n);

/// How many n-grams two texts have in common, each as often as both have it.
int64_t common_ngrams(const std::vector<NgramCount>& a, const std::vector<NgramCount>& b);

/// The greater count of each n-gram.
std::vector<NgramCount> greater_counts(const std::vector<NgramCount>& a, const std::vector<NgramCount>& b);

inline int64_t ngrams_of(size_t items, size_t n) {
  return items < n ? 0 : static_cast<int64_t>(items - n + 1);
}

/// Harmonic mean of precision and recall, given counts; 0 without matches.
inline double f_measure(double matches, double answered, double wanted) {
  return matches == 0 ? 0 : 2 * matches / (answered + wanted);
}

}  // namespace wattle::inline metrics
