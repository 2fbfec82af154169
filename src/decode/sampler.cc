#include "decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <wattle/error.h>

namespace wattle {

int32_t arg_max(std::span<const float> values) {
  int32_t best = -1;
  float most = -std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] > most) most = values[i], best = static_cast<int32_t>(i);
  }
  if (best < 0) fail("the model's logits are not numbers; the file is damaged, get it again");
  return best;
}

std::vector<std::pair<int32_t, float>> largest(std::span<const float> values, int64_t k) {
  std::vector<std::pair<int32_t, float>>
      heap;  // its smallest is in front, so most values cost one comparison
  const auto before = [](const auto& a, const auto& b) {
    return a.second > b.second || (a.second == b.second && a.first < b.first);
  };
  heap.reserve(static_cast<size_t>(std::min<int64_t>(k, static_cast<int64_t>(values.size()))) + 1);
  for (size_t i = 0; i < values.size() && k > 0; ++i) {
    const std::pair<int32_t, float> item(static_cast<int32_t>(i), values[i]);
    if (std::isnan(item.second)) continue;
    if (static_cast<int64_t>(heap.size()) == k) {
      if (!before(item, heap.front())) continue;
      std::ranges::pop_heap(heap, before);
      heap.pop_back();
    }
    heap.push_back(item);
    std::ranges::push_heap(heap, before);
  }
  std::ranges::sort_heap(heap, before);
  return heap;
}

Sampler::Sampler(const SamplerOptions& options) : options_(options), random_(options.seed) {
  if (!(options.temperature >= 0)) fail("--temperature {}: must be 0 (greedy) or more", options.temperature);
  if (options.top_k < 0) fail("--top-k {}: must be 0 (all) or more", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail("--top-p {}: must be above 0 and at most 1", options.top_p);
  if (!(options.min_p >= 0 && options.min_p <= 1)) fail("--min-p {}: must be between 0 and 1", options.min_p);
}

int32_t Sampler::next(std::span<const float> logits) {
  const int32_t best = arg_max(logits);
  if (options_.temperature == 0) return best;
  take_candidates(logits);
  const double most = logits[static_cast<size_t>(best)];
  for (Candidate& candidate : candidates_) {
    candidate.value = std::exp((candidate.value - most) / options_.temperature);
  }
  if (options_.top_p < 1) keep_top_p();
  if (options_.min_p > 0)
    std::erase_if(candidates_, [&](const Candidate& c) { return c.value < options_.min_p; });
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.value;
  double rest = uniform() * total;
  for (const Candidate& candidate : candidates_) {
    if (rest < candidate.value) return candidate.id;
    rest -= candidate.value;
  }
  return best;  // rounding used up the last probability
}

void Sampler::take_candidates(std::span<const float> logits) {
  candidates_.clear();
  if (options_.top_k > 0) {
    for (const auto& [id, logit] : largest(logits, options_.top_k)) candidates_.push_back({id, logit});
    return;
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) candidates_.push_back({static_cast<int32_t>(i), logits[i]});
  }
}

// Orders only as much of the head as reaches top_p: the head doubles until it is long enough.
void Sampler::keep_top_p() {
  double total = 0;
  for (const Candidate& candidate : candidates_) total += candidate.value;
  const double wanted = options_.top_p * total;
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.value > b.value || (a.value == b.value && a.id < b.id);
  };
  double sum = 0;
  size_t kept = 0;
  for (size_t head = 64; kept < candidates_.size(); head *= 2) {
    const size_t end = std::min(head, candidates_.size());
    std::partial_sort(candidates_.begin() + static_cast<ptrdiff_t>(kept),
                      candidates_.begin() + static_cast<ptrdiff_t>(end), candidates_.end(), before);
    for (; kept < end && sum < wanted; ++kept) sum += candidates_[kept].value;
    if (sum >= wanted) break;
  }
  candidates_.resize(std::max<size_t>(kept, 1));
}

// 53 random bits: the standard library's distributions differ between implementations.
double Sampler::uniform() {
  return static_cast<double>(random_() >> 11) * 0x1p-53;
}

}  // namespace wattle
