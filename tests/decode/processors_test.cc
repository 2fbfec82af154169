#include "decode/processors.h"

#include <cmath>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "decode/formula_model.h"

namespace wattle {
namespace {

constexpr float kForbidden = -INFINITY;

TEST(Processors, GiveTheReferencesScores) {
  int64_t changed = 0;
  for (const auto& golden : generation_golden("processors.json")) {
    const GenerationOptions options = golden_options(golden["options"]);
    check(options, kToyVocabulary);
    const auto ids = golden["ids"].get<std::vector<TokenId>>();
    const auto encoder_ids = golden["encoder_ids"].get<std::vector<TokenId>>();
    LogitsProcessors processors(options, kToyVocabulary, golden["prompt_length"], *options.max_length,
                                encoder_ids);
    for (int repeat = 0; repeat < 2; ++repeat) {  // nothing may be left behind by the first
      auto scores = golden["before"].get<std::vector<float>>();
      processors.apply(ids, scores);
      for (size_t i = 0; i < scores.size(); ++i) {
        const auto& want = golden["after"][i];
        EXPECT_EQ(scores[i], want.is_null() ? kForbidden : want.get<float>())
            << golden["options"] << " token " << i;
        changed += scores[i] != golden["before"][i].get<float>();
      }
    }
  }
  EXPECT_GT(changed, 500);
}

// OpenAI's reference: mu[j] -= c[j] * frequency + (c[j] > 0) * presence, over the text generated so far.
TEST(Processors, FrequencyAndPresenceCountWhatWasGenerated) {
  GenerationOptions options;
  options.frequency_penalty = 0.5;
  options.presence_penalty = 2;
  LogitsProcessors processors(options, 5, 2, 100);
  std::vector<float> scores(5, 10);
  processors.apply(std::vector<TokenId>{4, 4, 1, 1, 1, 3}, scores);
  EXPECT_EQ(scores, (std::vector<float>{10, 10 - 3 * 0.5f - 2, 10, 10 - 0.5f - 2, 10}));
}

TEST(Processors, LogitBiasIsAddedFirst) {
  GenerationOptions options;
  options.logit_bias = {{1, 3.0f}, {2, kForbidden}};
  options.repetition_penalty = 2;
  LogitsProcessors processors(options, 4, 1, 100);
  std::vector<float> scores{1, 1, 1, 1};
  processors.apply(std::vector<TokenId>{1}, scores);
  EXPECT_EQ(scores, (std::vector<float>{1, 2, kForbidden, 1}));
}

TEST(Processors, LogSoftmax) {
  std::vector<float> scores{1.5f, -2, kForbidden, 4, 3.75f};
  const std::vector<float> before = scores;
  double sum = 0;
  for (const float score : before) sum += std::exp(static_cast<double>(score));
  log_softmax_inplace(scores);
  for (size_t i = 0; i < scores.size(); ++i) {
    if (i == 2) {
      EXPECT_EQ(scores[i], kForbidden);
    } else {
      EXPECT_NEAR(scores[i], before[i] - std::log(sum), 2e-6);
    }
  }
}

TEST(Options, WhatMakesNoSenseIsRefused) {
  const auto refused = [](auto change) {
    GenerationOptions options;
    change(options);
    EXPECT_THROW(check(options, 10), Error);
  };
  using O = GenerationOptions;
  refused([](O& o) { o.max_tokens = 0; });
  refused([](O& o) { o.min_tokens = 5, o.max_tokens = 4; });
  refused([](O& o) { o.min_length = -1; });
  refused([](O& o) { o.repetition_penalty = 0; });
  refused([](O& o) { o.frequency_penalty = INFINITY; });
  refused([](O& o) { o.stop = {"a", ""}; });
  refused([](O& o) { o.end_tokens = {10}; });
  refused([](O& o) { o.logit_bias = {{-1, 1.0f}}; });
  refused([](O& o) { o.logit_bias = {{1, NAN}}; });
  refused([](O& o) { o.sequence_bias = {{{}, 1.0f}}; });
  refused([](O& o) { o.bad_words = std::vector<std::vector<TokenId>>(1); });
  refused([](O& o) { o.forced_tokens = std::vector<ForcedToken>{{0, 11}}; });
  refused([](O& o) { o.beams = 0; });
  refused([](O& o) { o.beams = 4, o.return_sequences = 5; });
  refused([](O& o) { o.beams = 2, o.sampler.temperature = 1; });
  refused([](O& o) { o.beams = 2, o.stop = {"x"}; });
  refused([](O& o) { o.sampler.mirostat = 5, o.sampler.temperature = 1, o.sampler.top_k = 40; });
  refused([](O& o) { o.sampler.mirostat = 5; });
  GenerationOptions plain;
  EXPECT_NO_THROW(check(plain, 10));
}

TEST(Options, WishesOutweighDefaults) {
  GenerationOptions defaults;
  defaults.max_length = 20;
  defaults.min_tokens = 12;
  defaults.beams = 4;
  defaults.length_penalty = 2;
  defaults.end_tokens = {7};
  const GenerationOptions all = with_defaults({}, defaults);
  EXPECT_EQ(all.max_length, 20);
  EXPECT_EQ(all.beams, 4);
  EXPECT_EQ(all.end_tokens, std::vector<TokenId>{7});
  EXPECT_EQ(all.most_tokens(8, 99), 12);

  GenerationOptions wishes;
  wishes.max_tokens = 5;
  wishes.beams = 1;
  wishes.end_tokens = {1};
  const GenerationOptions mixed = with_defaults(wishes, defaults);
  EXPECT_EQ(mixed.most_tokens(8, 99), 5);
  EXPECT_EQ(mixed.min_tokens, 5) << "a default must not ask for more than is wanted";
  EXPECT_EQ(mixed.beams, 1);
  EXPECT_EQ(mixed.length_penalty, 2);
  EXPECT_EQ(mixed.end_tokens, std::vector<TokenId>{1});
  EXPECT_EQ(GenerationOptions().most_tokens(8, 99), 99);
}

}  // namespace
}  // namespace wattle
