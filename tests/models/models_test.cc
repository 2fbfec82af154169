#include "models/model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include <gtest/gtest.h>

#include <wattle/error.h>
#include <nlohmann/json.hpp>

#include "base/threads.h"

namespace wattle {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(WATTLE_SOURCE_DIR) / "tests/golden/models";

LoadOptions cache_of(Format format) {
  LoadOptions options;
  options.cache_format = format;
  return options;
}

// A tiny random model with the outputs of the reference implementation (tests/golden/make_models.py).
struct Golden {
  std::unique_ptr<Model> model;
  std::vector<std::vector<TokenId>> sequences;
  std::vector<float> expected;  ///< [tokens, columns], sequences one after the other

  explicit Golden(const std::string& name, const LoadOptions& options = cache_of(Format::kF32)) {
    const auto folder = kGolden / name;
    const auto gguf = folder / "model.gguf";
    model = Model::open(std::filesystem::exists(gguf) ? gguf : folder, options);
    nlohmann::json::parse(std::ifstream(folder / "inputs.json")).get_to(sequences);
    expected.resize(std::filesystem::file_size(folder / "expected.f32") / sizeof(float));
    std::ifstream(folder / "expected.f32", std::ios::binary)
        .read(reinterpret_cast<char*>(expected.data()),
              static_cast<std::streamsize>(expected.size() * sizeof(float)));
  }

  Ragged<TokenId> ragged() const {
    Ragged<TokenId> tokens;
    for (const auto& sequence : sequences) tokens.append(sequence);
    return tokens;
  }
};

void expect_near(std::span<const float> got, std::span<const float> want, float tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], tolerance) << "value " << i;
}

std::span<const float> values(const Matrix& matrix) {
  return {matrix.data(), static_cast<size_t>(matrix.rows() * matrix.columns())};
}

class Encoders : public testing::TestWithParam<const char*> {};

TEST_P(Encoders, HiddenStatesMatchTheReference) {
  const Golden golden(GetParam());
  ReadsText& encoder = *golden.model->encoder();
  const Ragged<TokenId> tokens = golden.ragged();
  Matrix hidden(static_cast<int64_t>(tokens.items.size()), encoder.width());
  Work work;
  encoder.hidden_states(tokens, hidden.view(), work);
  expect_near(values(hidden), golden.expected, 1e-4f);
  EXPECT_EQ(work.tokens_in, hidden.rows());
  EXPECT_EQ(golden.model->decoder(), nullptr);
}

TEST_P(Encoders, BatchedAndSingleRowsGiveTheSameBits) {
  const Golden golden(GetParam());
  ReadsText& encoder = *golden.model->encoder();
  const Ragged<TokenId> tokens = golden.ragged();
  Matrix batched(static_cast<int64_t>(tokens.items.size()), encoder.width());
  Work work;
  encoder.hidden_states(tokens, batched.view(), work);
  const int before = threads();
  set_threads(1);
  for (int64_t i = 0; i < tokens.sequences(); ++i) {
    Ragged<TokenId> one;
    one.append(tokens.sequence(i));
    Matrix single(tokens.length(i), encoder.width());
    encoder.hidden_states(one, single.view(), work);
    for (int64_t row = 0; row < single.rows(); ++row) {
      for (int64_t c = 0; c < single.columns(); ++c) {
        ASSERT_EQ(single.row(row)[c], batched.row(tokens.offsets[i] + row)[c]) << i << " " << row << " " << c;
      }
    }
  }
  set_threads(before);
}

// Threads take whole sequences where these share out evenly, tokens otherwise.
TEST_P(Encoders, AnyNumberOfThreadsGivesTheSameBitsAndWork) {
  const Golden golden(GetParam());
  ReadsText& encoder = *golden.model->encoder();
  const auto longest = std::ranges::max(golden.sequences, {}, [](const auto& ids) { return ids.size(); });
  Ragged<TokenId> alone, even, uneven = golden.ragged();
  alone.append(std::vector<TokenId>(static_cast<size_t>(encoder.max_tokens()), 5));
  for (int i = 0; i < 24; ++i) even.append(longest);
  uneven.append(alone.sequence(0));
  const int before = threads();
  for (const Ragged<TokenId>* tokens : {&alone, &even, &uneven}) {
    Matrix first(static_cast<int64_t>(tokens->items.size()), encoder.width());
    Work first_work;
    set_threads(1);
    encoder.hidden_states(*tokens, first.view(), first_work);
    for (const int count : {2, 3}) {
      Matrix hidden(first.rows(), first.columns());
      Work work;
      set_threads(count);
      encoder.hidden_states(*tokens, hidden.view(), work);
      EXPECT_TRUE(std::ranges::equal(values(hidden), values(first))) << count;
      EXPECT_EQ(work.macs_fp32, first_work.macs_fp32);
      EXPECT_EQ(work.activation_bytes, first_work.activation_bytes);
      EXPECT_EQ(work.weight_bytes, first_work.weight_bytes);
    }
  }
  set_threads(before);
}

TEST_P(Encoders, RefuseWhatTheyCannotRead) {
  const Golden golden(GetParam());
  ReadsText& encoder = *golden.model->encoder();
  Work work;
  const auto run = [&](std::vector<TokenId> ids) {
    Ragged<TokenId> tokens;
    tokens.append(ids);
    Matrix out(static_cast<int64_t>(ids.size()), encoder.width());
    encoder.hidden_states(tokens, out.view(), work);
  };
  EXPECT_THROW(run(std::vector<TokenId>(static_cast<size_t>(encoder.max_tokens()) + 1, 5)), Error);
  EXPECT_NO_THROW(run(std::vector<TokenId>(static_cast<size_t>(encoder.max_tokens()), 5)));
  EXPECT_THROW(run({}), Error);
  EXPECT_THROW(run({5, 96}), Error);
  EXPECT_THROW(run({-1}), Error);
}

INSTANTIATE_TEST_SUITE_P(All, Encoders, testing::Values("bert", "mpnet"),
                         [](const auto& test) { return std::string(test.param); });

class Decoders : public testing::TestWithParam<const char*> {};

TEST_P(Decoders, LogitsMatchTheReference) {
  const Golden golden(GetParam());
  ContinuesText& decoder = *golden.model->decoder();
  std::vector<std::unique_ptr<KeyValueCache>> caches;
  std::vector<DecoderInput> inputs;
  for (const auto& sequence : golden.sequences) {
    caches.push_back(decoder.new_cache(200));
    inputs.push_back({caches.back().get(), sequence});
  }
  Matrix logits;
  Work work;
  decoder.forward(inputs, LogitsWanted::kAll, logits, work);
  expect_near(values(logits), golden.expected, 1e-4f);
  EXPECT_EQ(work.tokens_in, logits.rows());
  EXPECT_EQ(golden.model->encoder(), nullptr);
}

// One token at a time over a cache, or a prompt cut anywhere, is the same computation.
TEST_P(Decoders, StepsGiveTheBitsOfThePrompt) {
  for (const Format format : {Format::kF32, Format::kF16}) {
    const Golden golden(GetParam(), cache_of(format));
    ContinuesText& decoder = *golden.model->decoder();
    const std::vector<TokenId>& sequence = golden.sequences[2];
    Work work;
    Matrix whole, last, step;
    const auto cache = decoder.new_cache(0);
    const DecoderInput all{cache.get(), sequence};
    decoder.forward({&all, 1}, LogitsWanted::kAll, whole, work);
    EXPECT_EQ(cache->length(), static_cast<int64_t>(sequence.size()));
    cache->truncate(0);
    decoder.forward({&all, 1}, LogitsWanted::kLast, last, work);
    ASSERT_EQ(last.rows(), 1);
    EXPECT_TRUE(std::ranges::equal(last.row(0), whole.row(whole.rows() - 1)));
    cache->truncate(10);
    for (size_t i = 10; i < sequence.size(); i += 3) {
      const DecoderInput next{cache.get(),
                              std::span(sequence).subspan(i, std::min<size_t>(3, sequence.size() - i))};
      decoder.forward({&next, 1}, LogitsWanted::kAll, step, work);
      for (int64_t row = 0; row < step.rows(); ++row) {
        ASSERT_TRUE(std::ranges::equal(step.row(row), whole.row(static_cast<int64_t>(i) + row))) << i + row;
      }
    }
  }
}

// Longer than a slab, several sequences in one, and the last row of each.
TEST_P(Decoders, SlabsAndBatchesGiveTheBitsOfSingleSequences) {
  const Golden golden(GetParam());
  ContinuesText& decoder = *golden.model->decoder();
  std::vector<std::unique_ptr<KeyValueCache>> caches;
  std::vector<DecoderInput> inputs;
  for (int copy = 0; copy < 5; ++copy) {
    for (const auto& sequence : golden.sequences) {
      caches.push_back(decoder.new_cache(200));
      inputs.push_back({caches.back().get(), sequence});
    }
  }
  Matrix batched, single;
  Work work;
  decoder.forward(inputs, LogitsWanted::kLast, batched, work);
  ASSERT_EQ(batched.rows(), static_cast<int64_t>(inputs.size()));
  for (size_t i = 0; i < inputs.size(); ++i) {
    inputs[i].cache->truncate(0);
    decoder.forward({&inputs[i], 1}, LogitsWanted::kLast, single, work);
    ASSERT_TRUE(std::ranges::equal(single.row(0), batched.row(static_cast<int64_t>(i)))) << i;
  }
}

TEST_P(Decoders, RefuseWhatDoesNotFit) {
  const Golden golden(GetParam());
  ContinuesText& decoder = *golden.model->decoder();
  EXPECT_THROW(decoder.new_cache(-1), Error);
  EXPECT_THROW(decoder.new_cache(decoder.context_length() + 1), Error);
  const auto cache = decoder.new_cache(4);
  Matrix logits;
  Work work;
  const auto run = [&](const std::vector<TokenId>& ids) {
    const DecoderInput input{cache.get(), ids};
    decoder.forward({&input, 1}, LogitsWanted::kLast, logits, work);
  };
  EXPECT_THROW(run({1, 2, 3, 4, 5}), Error);
  EXPECT_THROW(run({}), Error);
  EXPECT_THROW(run({static_cast<TokenId>(decoder.vocabulary())}), Error);
  EXPECT_EQ(cache->length(), 0);
  EXPECT_NO_THROW(run({1, 2, 3, 4}));
  EXPECT_THROW(run({1}), Error);
}

INSTANTIATE_TEST_SUITE_P(All, Decoders, testing::Values("llama", "qwen2", "gemma3"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace wattle
