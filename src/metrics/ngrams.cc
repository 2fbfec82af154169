#include "metrics/ngrams.h"

#include <algorithm>

namespace wattle::inline metrics {

std::vector<NgramCount> count_ngrams(std::u32string_view items, size_t n) {
  std::vector<std::u32string_view> grams;
  for (size_t i = 0; i + n <= items.size(); ++i) grams.push_back(items.substr(i, n));
  std::ranges::sort(grams);
  std::vector<NgramCount> counts;
  for (const std::u32string_view gram : grams) {
    if (counts.empty() || counts.back().gram != gram) counts.push_back({gram, 0});
    ++counts.back().count;
  }
  return counts;
}

int64_t common_ngrams(const std::vector<NgramCount>& a, const std::vector<NgramCount>& b) {
  int64_t common = 0;
  auto other = b.begin();
  for (const auto& [gram, count] : a) {
    while (other != b.end() && other->gram < gram) ++other;
    if (other != b.end() && other->gram == gram) common += std::min(count, other->count);
  }
  return common;
}

std::vector<NgramCount> greater_counts(const std::vector<NgramCount>& a, const std::vector<NgramCount>& b) {
  std::vector<NgramCount> both;
  std::ranges::merge(a, b, std::back_inserter(both), {}, &NgramCount::gram, &NgramCount::gram);
  std::vector<NgramCount> greater;
  for (const NgramCount& next : both) {
    if (greater.empty() || greater.back().gram != next.gram) {
      greater.push_back(next);
    } else {
      greater.back().count = std::max(greater.back().count, next.count);
    }
  }
  return greater;
}

}  // namespace wattle::inline metrics
