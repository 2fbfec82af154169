#include "decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <wattle/error.h>

#include "base/threads.h"

namespace wattle::inline decode {
namespace {

using Candidate = Sampler::Candidate;

constexpr float kNothing = -std::numeric_limits<float>::infinity();
constexpr size_t kStretch = 64;  ///< values that are looked at together
/// Values from which on the team looks for the largest together: one thread takes 4 us or so.
constexpr int64_t kValuesOfTeam = int64_t{1} << 16;

/// NaN never wins: it compares as not larger.
float maximum(const float* values, size_t count) {
  float most = kNothing;
#pragma omp simd reduction(max : most)
  for (size_t i = 0; i < count; ++i) most = values[i] > most ? values[i] : most;
  return most;
}

struct Largest {
  float value = kNothing;
  size_t begin = 0;  ///< of the first stretch that holds it
};

Largest largest_within(std::span<const float> values, IndexRange range) {
  Largest best;
  const auto end = static_cast<size_t>(range.end);
  for (auto i = static_cast<size_t>(range.begin); i < end; i += kStretch) {
    const float here = maximum(values.data() + i, std::min(kStretch, end - i));
    if (here > best.value) best = {here, i};
  }
  return best;
}

double total(std::span<const Candidate> candidates) {
  double sum = 0;
  for (const Candidate& candidate : candidates) sum += candidate.value;
  return sum;
}

void take_candidates(std::span<const float> logits, int top_k, std::vector<Candidate>& candidates) {
  candidates.clear();
  if (top_k > 0) {
    for (const auto& [id, logit] : largest(logits, top_k)) candidates.push_back({id, logit});
    return;
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    if (!std::isnan(logits[i])) candidates.push_back({static_cast<int32_t>(i), logits[i]});
  }
}

/// Keeps the first candidates in the order of `before` whose values reach `wanted`, and those that equal the
/// last of them as `ties` has it. Orders only as much of the head as is needed: it doubles until it is long
/// enough.
template <class Before, class Ties>
void keep_head(double wanted, const Before& before, const Ties& ties, std::vector<Candidate>& candidates) {
  double sum = 0;
  size_t kept = 0;
  for (size_t head = 64; kept < candidates.size(); head *= 2) {
    const size_t end = std::min(head, candidates.size());
    std::partial_sort(candidates.begin() + static_cast<ptrdiff_t>(kept),
                      candidates.begin() + static_cast<ptrdiff_t>(end), candidates.end(), before);
    for (; kept < end && sum < wanted; ++kept) sum += candidates[kept].value;
    if (sum < wanted) continue;
    while (kept < end && ties(candidates[kept - 1], candidates[kept])) ++kept;
    break;
  }
  candidates.resize(std::max<size_t>(kept, 1));
}

void keep_top_p(double top_p, std::vector<Candidate>& candidates) {
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.value > b.value || (a.value == b.value && a.id < b.id);
  };
  keep_head(
      top_p * total(candidates), before, [](const Candidate&, const Candidate&) { return false; },
      candidates);
}

/// Locally typical sampling: in the order of how far -ln p is from the entropy.
void keep_typical(double mass, std::vector<Candidate>& candidates) {
  const double sum = total(candidates), log_sum = std::log(sum);
  double entropy = 0;
  for (Candidate& candidate : candidates) {
    candidate.key = log_sum - std::log(candidate.value);  // the surprise
    if (candidate.value > 0) entropy += candidate.value / sum * candidate.key;
  }
  for (Candidate& candidate : candidates) candidate.key = std::fabs(candidate.key - entropy);
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.key < b.key || (a.key == b.key && a.id < b.id);
  };
  keep_head(
      mass * sum, before, [](const Candidate& a, const Candidate& b) { return a.key == b.key; }, candidates);
}

}  // namespace

int32_t arg_max(std::span<const float> values) {
  const int64_t size = static_cast<int64_t>(values.size());
  const int64_t parts = size >= kValuesOfTeam && !in_team() ? active_threads() : 1;
  std::vector<Largest> found(static_cast<size_t>(parts));
  // As the output matrix is shared out: everyone looks at what lies in its own caches.
  for_each_part(parts, [&](int64_t part) {
    found[static_cast<size_t>(part)] = largest_within(values, Part{part, parts}.range(size));
  });
  Largest best;
  for (const Largest& one : found) {
    if (one.value > best.value) best = one;
  }
  if (best.value == kNothing) fail("the model's logits are not numbers; the file is damaged, get it again");
  return static_cast<int32_t>(
      std::find(values.begin() + static_cast<ptrdiff_t>(best.begin), values.end(), best.value) -
      values.begin());
}

std::vector<std::pair<int32_t, float>> largest(std::span<const float> values, int64_t k) {
  std::vector<std::pair<int32_t, float>> heap;  // its smallest is in front
  const auto before = [](const auto& a, const auto& b) {
    return a.second > b.second || (a.second == b.second && a.first < b.first);
  };
  heap.reserve(static_cast<size_t>(std::min<int64_t>(k, static_cast<int64_t>(values.size()))) + 1);
  for (size_t begin = 0; begin < values.size() && k > 0; begin += kStretch) {
    const size_t end = std::min(begin + kStretch, values.size());
    // Most stretches hold nothing that is large enough.
    if (static_cast<int64_t>(heap.size()) == k &&
        !(maximum(values.data() + begin, end - begin) > heap.front().second)) {
      continue;
    }
    for (size_t i = begin; i < end; ++i) {
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
  }
  std::ranges::sort_heap(heap, before);
  return heap;
}

void check(const SamplerOptions& options) {
  const auto is_share = [](double value) { return value > 0 && value <= 1; };
  if (!(options.temperature >= 0 && std::isfinite(options.temperature))) {
    fail("temperature {}: must be 0 (greedy) or more", options.temperature);
  }
  if (options.top_k < 0) fail("top-k {}: must be 0 (all) or more", options.top_k);
  if (!is_share(options.top_p)) fail("top-p {}: must be above 0 and at most 1", options.top_p);
  if (!(options.min_p >= 0 && options.min_p <= 1)) fail("min-p {}: must be between 0 and 1", options.min_p);
  if (!is_share(options.typical)) fail("typical {}: must be above 0 and at most 1", options.typical);
  if (!(options.mirostat >= 0 && std::isfinite(options.mirostat))) {
    fail("mirostat {}: must be 0 (off) or the bits that a token is to surprise by", options.mirostat);
  }
  if (options.mirostat == 0) return;
  if (!(options.mirostat_rate > 0 && std::isfinite(options.mirostat_rate))) {
    fail("mirostat's rate {}: must be above 0", options.mirostat_rate);
  }
  if (options.temperature == 0) fail("mirostat draws; give a temperature above 0, 1 for the model's own");
  if (options.top_k != 0 || options.top_p != 1 || options.min_p != 0 || options.typical != 1) {
    fail("mirostat itself chooses what is kept; leave top-k, top-p, min-p and typical out");
  }
}

Sampler::Sampler(const SamplerOptions& options)
    : options_(options), random_(options.seed), bound_(2 * options.mirostat) {
  check(options);
}

int32_t Sampler::next(std::span<const float> logits) {
  const int32_t best = arg_max(logits);
  if (options_.temperature == 0) return best;
  // As large as a vocabulary, so shared by all samplers of a thread.
  thread_local std::vector<Candidate> candidates;
  take_candidates(logits, options_.top_k, candidates);
  const double most = logits[static_cast<size_t>(best)];
  for (Candidate& candidate : candidates) {
    candidate.value = std::exp((candidate.value - most) / options_.temperature);
  }
  if (options_.mirostat > 0) {
    // The likeliest stays where everything surprises more than the bound.
    const double least = std::exp2(-bound_) * total(candidates);
    std::erase_if(candidates, [&](const Candidate& c) { return c.value < least && c.id != best; });
    return draw(candidates, best);
  }
  if (options_.top_p < 1) keep_top_p(options_.top_p, candidates);
  if (options_.min_p > 0) {
    std::erase_if(candidates, [&](const Candidate& c) { return c.value < options_.min_p; });
  }
  if (options_.typical < 1) keep_typical(options_.typical, candidates);
  return draw(candidates, best);
}

int32_t Sampler::draw(std::span<const Candidate> candidates, int32_t otherwise) {
  const double sum = total(candidates);
  double rest = uniform() * sum;
  for (const Candidate& candidate : candidates) {
    if (rest < candidate.value) {
      if (options_.mirostat > 0) take_surprise(std::log2(sum / candidate.value));
      return candidate.id;
    }
    rest -= candidate.value;
  }
  return otherwise;  // rounding used up the last probability
}

void Sampler::take_surprise(double bits) {
  bound_ -= options_.mirostat_rate * (bits - options_.mirostat);
}

// 53 random bits: the standard library's distributions differ between implementations.
double Sampler::uniform() {
  return static_cast<double>(random_() >> 11) * 0x1p-53;
}

}  // namespace wattle::inline decode
