#include "decode/sampler.h"

#include <cmath>
#include <limits>
#include <map>

#include <gtest/gtest.h>
#include <wattle/error.h>

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
  Sampler sampler({.temperature = 1});
  EXPECT_THROW(sampler.next(std::vector<float>(3, std::nanf(""))), Error);
}

}  // namespace
}  // namespace wattle
