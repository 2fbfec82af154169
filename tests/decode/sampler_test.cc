#include "decode/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "base/threads.h"
#include "decode/formula_model.h"

namespace wattle {
namespace {

const std::vector<float> kLogits{
    1.0f, 3.0f, -2.0f, 2.5f, 0.0f, 2.0f, -std::numeric_limits<float>::infinity()};
constexpr int kDraws = 40000;

std::map<int, double> frequencies(const SamplerOptions& options, const std::vector<float>& logits) {
  Sampler sampler(options);
  std::map<int, double> counts;
  for (int i = 0; i < kDraws; ++i) counts[sampler.next(logits)] += 1.0 / kDraws;
  return counts;
}

// Softmax at a temperature over the ids that a filter must keep.
std::map<int, double> expected(const std::vector<float>& logits, double temperature,
                               const std::vector<int>& kept) {
  std::map<int, double> shares;
  double total = 0;
  for (const int id : kept) total += shares[id] = std::exp(logits[id] / temperature);
  for (auto& [id, share] : shares) share /= total;
  return shares;
}

void expect_close(const std::map<int, double>& got, const std::map<int, double>& want) {
  for (const auto& [id, share] : got)
    EXPECT_TRUE(want.contains(id)) << "token " << id << " must never be drawn";
  for (const auto& [id, share] : want) {
    const double five_sigma = 5 * std::sqrt(share * (1 - share) / kDraws) + 1e-9;
    EXPECT_NEAR(got.contains(id) ? got.at(id) : 0, share, five_sigma) << "token " << id;
  }
}

TEST(Sampler, GreedyTakesTheFirstLargest) {
  Sampler sampler({});
  EXPECT_EQ(sampler.next(kLogits), 1);
  EXPECT_EQ(sampler.next(std::vector<float>{2, 5, 5}), 1);
  EXPECT_EQ(sampler.next(std::vector<float>{std::nanf(""), 1, 0}), 1);
}

TEST(Sampler, TheTeamFindsTheSameLargest) {
  const int before = threads();
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    std::vector<float> logits(200'001, -1.0f);
    EXPECT_EQ(arg_max(logits), 0);
    logits[150'000] = logits[70'001] = 2;
    logits[70'000] = logits[5] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_EQ(arg_max(logits), 70'001);
    logits.back() = 3;
    EXPECT_EQ(arg_max(logits), 200'000);
    std::ranges::fill(logits, std::numeric_limits<float>::quiet_NaN());
    EXPECT_THROW(arg_max(logits), Error);
  }
  set_threads(before);
}

TEST(Sampler, TemperatureDrawsFromTheSoftmax) {
  expect_close(frequencies({.temperature = 1, .seed = 1}, kLogits), expected(kLogits, 1, {0, 1, 2, 3, 4, 5}));
  expect_close(frequencies({.temperature = 2.5, .seed = 2}, kLogits),
               expected(kLogits, 2.5, {0, 1, 2, 3, 4, 5}));
}

TEST(Sampler, TopKKeepsTheLikeliest) {
  expect_close(frequencies({.temperature = 1, .top_k = 3, .seed = 3}, kLogits),
               expected(kLogits, 1, {1, 3, 5}));
  expect_close(frequencies({.temperature = 1, .top_k = 1, .seed = 3}, kLogits), expected(kLogits, 1, {1}));
}

TEST(Sampler, TopPKeepsTheNucleus) {
  // Probabilities .46 .28 .17 .06 ...: .7 is first reached by two tokens, .8 by three.
  expect_close(frequencies({.temperature = 1, .top_p = 0.7, .seed = 4}, kLogits),
               expected(kLogits, 1, {1, 3}));
  expect_close(frequencies({.temperature = 1, .top_p = 0.8, .seed = 5}, kLogits),
               expected(kLogits, 1, {1, 3, 5}));
}

TEST(Sampler, TopPReachesBeyondItsFirstHead) {
  const std::vector<float> flat(1000, 0.25f);
  const auto drawn = frequencies({.temperature = 1, .top_p = 0.3, .seed = 6}, flat);
  std::vector<int> kept(300);
  for (int i = 0; i < 300; ++i) kept[i] = i;
  expect_close(drawn, expected(flat, 1, kept));
}

TEST(Sampler, MinPKeepsThoseNearTheLikeliest) {
  // exp(2 - 3) = .37, exp(1 - 3) = .14.
  expect_close(frequencies({.temperature = 1, .min_p = 0.3, .seed = 7}, kLogits),
               expected(kLogits, 1, {1, 3, 5}));
}

TEST(Sampler, KeepsWhatTheReferencesWarpersKeep) {
  for (const auto& golden : generation_golden("filters.json")) {
    SamplerOptions options;
    options.temperature = golden["temperature"];
    options.top_k = golden["top_k"];
    options.top_p = golden["top_p"];
    options.typical = golden["typical"];
    options.seed = 11;
    std::map<int, double> shares;
    for (int i = 0; i < 40; ++i) {
      if (golden["shares"][static_cast<size_t>(i)] != 0.0)
        shares[i] = golden["shares"][static_cast<size_t>(i)];
    }
    expect_close(frequencies(options, golden["scores"].get<std::vector<float>>()), shares);
  }
}

// Basu et al. 2020: what surprises by more than the bound goes; the bound follows the error of the surprise.
TEST(Sampler, MirostatSurprisesByWhatIsAsked) {
  std::vector<float> logits;
  for (int i = 0; i < 4000; ++i)
    logits.push_back(static_cast<float>(-1.1 * std::log(i + 1.0)));  // Zipf's law
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit);
  for (const double bits : {2.0, 4.0, 6.0}) {
    Sampler sampler({.temperature = 1, .mirostat = bits, .mirostat_rate = 0.1, .seed = 9});
    double bound = 2 * bits, surprise = 0;
    constexpr int kTokens = 4000;
    for (int i = 0; i < kTokens; ++i) {
      // The distribution that is left at this bound, and where the bound moves.
      double kept = 0;
      for (const float logit : logits)
        kept += std::exp(logit) / sum >= std::exp2(-bound) ? std::exp(logit) : 0;
      const int32_t token = sampler.next(logits);
      const double share = std::exp(logits[static_cast<size_t>(token)]);
      if (kept > 0) {
        EXPECT_GE(share / sum, std::exp2(-bound) * (1 - 1e-9));
      } else {
        EXPECT_EQ(token, 0);
        kept = share;
      }
      bound -= 0.1 * (std::log2(kept / share) - bits);
      surprise += std::log2(kept / share) / kTokens;
    }
    EXPECT_NEAR(surprise, bits, 0.1);
  }
}

TEST(Sampler, SameSeedSameTokens) {
  Sampler a({.temperature = 1, .seed = 42}), b({.temperature = 1, .seed = 42}),
      c({.temperature = 1, .seed = 43});
  int different = 0;
  for (int i = 0; i < 200; ++i) {
    const int32_t token = a.next(kLogits);
    EXPECT_EQ(token, b.next(kLogits));
    different += token != c.next(kLogits);
  }
  EXPECT_GT(different, 50);
}

TEST(Sampler, LargestIsTheHeadOfASort) {
  std::vector<float> values;
  for (int i = 0; i < 5000; ++i) values.push_back(static_cast<float>((i * 7919) % 1009));
  values[17] = std::nanf("");
  const auto head = largest(values, 40);
  std::vector<std::pair<int32_t, float>> all;
  for (int i = 0; i < 5000; ++i) {
    if (i != 17) all.emplace_back(i, values[i]);
  }
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  all.resize(40);
  EXPECT_EQ(head, all);
  EXPECT_EQ(largest(values, 0).size(), 0u);
  EXPECT_EQ(largest(values, 10000).size(), 4999u);
}

TEST(Sampler, RefusesWhatMakesNoSense) {
  EXPECT_THROW(Sampler({.temperature = -1}), Error);
  EXPECT_THROW(Sampler({.temperature = std::nan("")}), Error);
  EXPECT_THROW(Sampler({.temperature = 1, .top_k = -3}), Error);
  EXPECT_THROW(Sampler({.temperature = 1, .top_p = 0}), Error);
  EXPECT_THROW(Sampler({.temperature = 1, .min_p = 1.5}), Error);
  EXPECT_THROW(Sampler({.temperature = 1, .typical = 0}), Error);
  EXPECT_THROW(Sampler({.temperature = 1, .mirostat = -1}), Error);
  EXPECT_THROW(Sampler({.temperature = 1, .mirostat = 3, .mirostat_rate = 0}), Error);
  Sampler sampler({.temperature = 1});
  EXPECT_THROW(sampler.next(std::vector<float>(3, std::nanf(""))), Error);
}

}  // namespace
}  // namespace wattle
