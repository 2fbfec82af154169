#include "decode/generation.h"

#include <map>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "decode/formula_model.h"

namespace wattle {
namespace {

using Ids = std::vector<TokenId>;

constexpr int64_t kCacheLength = 200;

GenerationOptions greedy(int64_t tokens) {
  GenerationOptions options;
  options.max_tokens = tokens;
  return options;
}

std::vector<GenerationEvent> run(Generation& generation, Work& work) {
  std::vector<GenerationEvent> all;
  while (!generation.idle()) {
    const auto events = generation.step(work);
    all.insert(all.end(), events.begin(), events.end());
  }
  return all;
}

GenerationResult alone(ContinuesText& decoder, const Tokenizer* tokenizer, Ids prompt,
                       const GenerationOptions& options) {
  Generation generation(decoder, tokenizer, {.capacity = kCacheLength});
  const int64_t handle = generation.admit(std::move(prompt), options);
  Work work;
  run(generation, work);
  return generation.take(handle);
}

std::vector<Ids> ids_of(const GenerationResult& result) {
  std::vector<Ids> ids;
  for (const Generated& answer : result.answers) ids.push_back(answer.ids);
  return ids;
}

/// Every case of the golden file, with a cache that came from elsewhere where its encoder's ids matter.
int64_t admit(Generation& generation, const FormulaModel& model, const nlohmann::json& golden) {
  const GenerationOptions options = golden_options(golden["options"]);
  const auto prompt = golden["prompt"].get<Ids>(), encoder_ids = golden["encoder_ids"].get<Ids>();
  if (!options.encoder_no_repeat_ngram) return generation.admit(prompt, options);
  return generation.admit(model.new_cache(kCacheLength), prompt, options, encoder_ids);
}

TEST(Generation, GivesTheReferencesIds) {
  FormulaModel model;
  std::map<FinishReason, int> reasons;
  int beams = 0;
  for (const auto& golden : generation_golden("texts.json")) {
    Generation generation(model, nullptr, {.capacity = kCacheLength});
    const int64_t handle = admit(generation, model, golden);
    Work work;
    run(generation, work);
    const GenerationResult result = generation.take(handle);
    EXPECT_EQ(ids_of(result), golden["ids"].get<std::vector<Ids>>()) << golden["prompt"] << golden["options"];
    for (const Generated& answer : result.answers) ++reasons[answer.reason];
    beams += golden["options"].contains("num_beams");
  }
  EXPECT_GT(beams, 100);
  EXPECT_GT(reasons[FinishReason::kEnd], 50);
  EXPECT_GT(reasons[FinishReason::kLength], 50);
}

TEST(Generation, GivesTheReferencesIdsToAllAtOnce) {
  // Together, in few places, with prompts in pieces: still nobody influences anybody.
  for (const GenerationSettings& settings :
       {GenerationSettings{kCacheLength, 0, 0}, GenerationSettings{kCacheLength, 7, 0},
        GenerationSettings{kCacheLength, 16, 3}}) {
    FormulaModel model;
    Generation generation(model, nullptr, settings);
    const nlohmann::json goldens = generation_golden("texts.json");
    std::vector<int64_t> handles;
    for (const auto& golden : goldens) handles.push_back(admit(generation, model, golden));
    Work work;
    run(generation, work);
    for (size_t i = 0; i < handles.size(); ++i) {
      EXPECT_EQ(ids_of(generation.take(handles[i])), goldens[i]["ids"].get<std::vector<Ids>>())
          << goldens[i]["prompt"] << goldens[i]["options"];
    }
    if (settings.sequences > 0) {
      EXPECT_LE(model.most_inputs(), settings.sequences);
    } else {
      EXPECT_GT(model.most_inputs(), 200);
    }
  }
}

/// Long texts over a model that sees all of its cache: what is copied, kept or reused must be right.
std::vector<std::pair<Ids, GenerationOptions>> long_cases() {
  std::vector<std::pair<Ids, GenerationOptions>> cases;
  for (int i = 0; i < 18; ++i) {
    Ids prompt(static_cast<size_t>(40 + 5 * i), 5);  // that begin alike
    for (int k = 0; k <= i; ++k) prompt.push_back(2 + (k * 7 + i) % 60);
    GenerationOptions options = greedy(50 - i);
    options.end_tokens = {0};
    if (i % 3 == 1) options.beams = 2 + i % 5;
    if (i % 3 == 2) options.sampler = {.temperature = 0.8, .top_p = 0.9, .seed = 3};
    cases.emplace_back(prompt, options);
  }
  return cases;
}

TEST(Generation, CompanyReuseAndPiecesChangeNothing) {
  FormulaModel model(true);
  std::vector<std::vector<Ids>> want;
  for (const auto& [prompt, options] : long_cases()) {
    want.push_back(ids_of(alone(model, nullptr, prompt, options)));
  }
  Generation generation(model, nullptr, {.capacity = kCacheLength, .sequences = 9, .tokens_per_step = 32});
  for (int round = 0; round < 3; ++round) {
    std::vector<int64_t> handles;
    for (const auto& [prompt, options] : long_cases()) handles.push_back(generation.admit(prompt, options));
    Work work;
    run(generation, work);
    for (size_t i = 0; i < handles.size(); ++i) {
      const GenerationResult result = generation.take(handles[i]);
      EXPECT_EQ(ids_of(result), want[i]) << "round " << round << ", text " << i;
    }
  }
  EXPECT_LE(model.most_inputs(), 9);
}

TEST(Generation, WorkIsDividedAndPromptsAreComputedOnce) {
  FormulaModel model;
  Generation generation(model, nullptr, {.capacity = kCacheLength});
  const Ids prompt(60, 7);
  const int64_t first = generation.admit(prompt, greedy(4)), other = generation.admit({9, 8}, greedy(2));
  Work work;
  run(generation, work);
  const GenerationResult a = generation.take(first), b = generation.take(other);
  EXPECT_EQ(a.computed_tokens, 60);
  EXPECT_EQ(a.prompt_work.macs_fp32, 60);
  EXPECT_EQ(a.answer_work.macs_fp32, 3);
  EXPECT_EQ(a.answer_tokens, 3);
  EXPECT_EQ(b.prompt_work.macs_fp32, 2);
  EXPECT_EQ(b.answer_work.macs_fp32, 1);
  EXPECT_EQ(work.tokens_in, 66);
  EXPECT_EQ(work.tokens_out, 6);
  Ids longer = prompt;
  longer.insert(longer.end(), {1, 2, 3});
  const int64_t second = generation.admit(longer, greedy(4));
  const int64_t passes = model.passes();
  run(generation, work);
  EXPECT_EQ(model.passes() - passes, 4) << "a text of n tokens takes n passes";
  EXPECT_EQ(generation.take(second).computed_tokens, 3);
  EXPECT_EQ(model.caches_made(), 2);
}

TEST(Generation, StreamsWhatItAnswers) {
  FormulaModel model;
  std::vector<std::string> pieces;
  for (int i = 0; i < 64; ++i) pieces.push_back(" t" + std::to_string(i));
  const PieceTokenizer tokenizer(pieces);
  GenerationOptions options = greedy(30);
  const Ids ids = alone(model, &tokenizer, {5, 6}, options).answers.front().ids;
  ASSERT_EQ(ids.size(), 30u);
  const auto text_of = [&](size_t count) { return tokenizer.decode(std::span(ids).first(count)); };
  struct Case {
    std::vector<std::string> stop;
    std::string text;
    size_t tokens;
    FinishReason reason;
  };
  const std::string fifth = pieces[static_cast<size_t>(ids[4])], sixth = pieces[static_cast<size_t>(ids[5])];
  const std::vector<Case> cases{
      {{}, text_of(30), 30, FinishReason::kLength},
      {{"nowhere"}, text_of(30), 30, FinishReason::kLength},
      {{fifth + sixth}, text_of(4), 6, FinishReason::kStop},
      // Begins in the middle of a token and ends in that of another; the other stop comes later.
      {{"nowhere", sixth + " ", fifth.substr(2) + sixth.substr(0, 2)},
       text_of(4) + fifth.substr(0, 2),
       6,
       FinishReason::kStop}};
  for (const Case& c : cases) {
    Generation generation(model, &tokenizer, {.capacity = kCacheLength});
    options.stop = c.stop;
    const int64_t handle = generation.admit({5, 6}, options);
    Work work;
    std::string streamed;
    for (const GenerationEvent& event : run(generation, work)) {
      EXPECT_EQ(event.handle, handle);
      streamed += event.text;
      EXPECT_TRUE(c.text.starts_with(streamed)) << streamed;
    }
    const Generated answer = generation.take(handle).answers.front();
    EXPECT_EQ(answer.text, c.text);
    EXPECT_EQ(streamed, c.text);
    EXPECT_EQ(answer.reason, c.reason);
    EXPECT_EQ(answer.ids, Ids(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(c.tokens)));
  }
}

TEST(Generation, EndTokensEndAndMayBeIgnored) {
  FormulaModel model;
  const Ids ids = alone(model, nullptr, {5, 6}, greedy(20)).answers.front().ids;
  GenerationOptions options = greedy(20);
  options.end_tokens = {62, ids[9], ids[7]};  // any of them
  const auto first_end =
      std::find_first_of(ids.begin(), ids.end(), options.end_tokens.begin(), options.end_tokens.end());
  Generated answer = alone(model, nullptr, {5, 6}, options).answers.front();
  EXPECT_EQ(answer.ids, Ids(ids.begin(), first_end));
  EXPECT_EQ(answer.reason, FinishReason::kEnd);
  options.ignore_end = true;
  EXPECT_EQ(alone(model, nullptr, {5, 6}, options).answers.front().ids, ids);
}

TEST(Generation, AFullCacheEndsATextAfterItsLastPlace) {
  FormulaModel model;
  Generation generation(model, nullptr, {.capacity = 10});
  const int64_t handle = generation.admit({5, 6, 7, 8}, greedy(100)), beams = [&] {
    GenerationOptions options = greedy(100);
    options.beams = 3;
    return generation.admit({5, 6, 7, 8}, options);
  }();
  Work work;
  run(generation, work);
  for (const int64_t text : {handle, beams}) {
    const Generated answer = generation.take(text).answers.front();
    EXPECT_EQ(answer.ids.size(), 7u);
    EXPECT_EQ(answer.reason, FinishReason::kContext);
  }
}

TEST(Generation, WhereEveryTokenIsForbiddenTheTextEnds) {
  FormulaModel model;
  GenerationOptions options = greedy(9);
  options.forced_bos = 7;
  options.suppress = Ids{7};
  const Generated answer = alone(model, nullptr, {5}, options).answers.front();
  EXPECT_EQ(answer.reason, FinishReason::kForbidden);
  EXPECT_EQ(answer.ids.size(), 0u);
}

TEST(Generation, CancelledTextsEndAndFreeTheirPlace) {
  FormulaModel model;
  Generation generation(model, nullptr, {.capacity = kCacheLength, .sequences = 1});
  const int64_t runs = generation.admit({5, 6}, greedy(50)), waits = generation.admit({5, 6}, greedy(50)),
                next = generation.admit({5, 6}, greedy(2));
  Work work;
  generation.step(work);
  generation.step(work);
  generation.cancel(runs);
  generation.cancel(waits);
  generation.cancel(12345);
  run(generation, work);
  const Generated cut = generation.take(runs).answers.front();
  EXPECT_EQ(cut.reason, FinishReason::kCancelled);
  EXPECT_EQ(cut.ids.size(), 2u);
  EXPECT_EQ(generation.take(waits).answers.front().ids.size(), 0u);
  EXPECT_EQ(generation.take(next).answers.front().ids.size(), 2u);
  EXPECT_THROW(generation.take(next), Error) << "a result is taken once";
  generation.admit({5, 6}, greedy(50));
  generation.step(work);
  generation.clear();
  EXPECT_TRUE(generation.idle());
  const int64_t after = generation.admit({5, 6}, greedy(3));
  run(generation, work);
  EXPECT_EQ(generation.take(after).answers.front().ids.size(), 3u);
}

TEST(Generation, RefusesWhatCannotBe) {
  FormulaModel model;
  Generation generation(model, nullptr, {.capacity = 10, .sequences = 2});
  EXPECT_THROW(generation.admit({}, greedy(1)), Error);
  EXPECT_THROW(generation.admit({64}, greedy(1)), Error);
  EXPECT_THROW(generation.admit(Ids(10, 3), greedy(1)), Error);
  GenerationOptions options = greedy(1);
  options.beams = 3;
  EXPECT_THROW(generation.admit({3}, options), Error) << "more beams than places";
  options = greedy(1);
  options.stop = {"x"};
  EXPECT_THROW(generation.admit({3}, options), Error) << "no tokenizer";
  options = {};
  options.max_length = 3;
  EXPECT_THROW(generation.admit({3, 3, 3}, options), Error);
  EXPECT_TRUE(generation.idle());
  EXPECT_THROW(Generation(model, nullptr, {.capacity = 1}), Error);
}

}  // namespace
}  // namespace wattle
