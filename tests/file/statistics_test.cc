#include "file/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

namespace wattle {
namespace {

TEST(TensorStatistics, CountsWhatIsThere) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values{0, 1, 2, 3, -2, std::nanf(""), infinity, 0};
  Tensor tensor{"t", Format::kF32, {2, 4}, std::as_bytes(std::span(values))};
  const TensorStatistics found = tensor_statistics(tensor);
  EXPECT_EQ(found.count, 8);
  EXPECT_EQ(found.zeros, 2);
  EXPECT_EQ(found.nans, 1);
  EXPECT_EQ(found.infinities, 1);
  EXPECT_EQ(found.min, -2);
  EXPECT_EQ(found.max, 3);
  EXPECT_DOUBLE_EQ(found.mean, 4.0 / 6);
  EXPECT_NEAR(found.deviation, std::sqrt(18.0 / 6 - 16.0 / 36), 1e-12);
  EXPECT_EQ(std::accumulate(found.histogram.begin(), found.histogram.end(), int64_t{0}), 6);
  EXPECT_EQ(found.histogram.front(), 1);
  EXPECT_EQ(found.histogram.back(), 1);
}

TEST(TensorStatistics, OfNothingIsZero) {
  const TensorStatistics found = tensor_statistics(Tensor{"t", Format::kF32, {0, 4}, {}});
  EXPECT_EQ(found.count, 0);
  EXPECT_EQ(found.max, 0);
}

TEST(Footprint, AddsWeightsCacheAndActivations) {
  Metadata metadata("m");
  metadata.set("general.architecture", Value::of(std::string("llama")));
  const auto set = [&](const char* key, int64_t value) {
    metadata.set(std::string("llama.") + key, Value::of(value));
  };
  set("block_count", 2), set("embedding_length", 8), set("feed_forward_length", 16),
      set("attention.head_count", 4);
  set("attention.head_count_kv", 2), set("context_length", 100);
  const std::vector<float> words(40);
  ModelFile::Contents contents;
  contents.metadata = metadata;
  contents.tensors.push_back({"token_embd.weight", Format::kF32, {5, 8}, std::as_bytes(std::span(words))});
  const ModelFile file(std::move(contents));
  const auto need = memory_need(file);
  ASSERT_TRUE(need.has_value());
  EXPECT_EQ(need->weights, 160U);
  EXPECT_EQ(need->context, 100);
  EXPECT_EQ(need->cache,
            2U * 2 * 2 * 2 * 2 * 100);  // keys and values, F16, layers, heads, width of a head, tokens
  EXPECT_GT(need->activations, 100U * 4 * 16);
  EXPECT_FALSE(memory_need(ModelFile(ModelFile::Contents())).has_value());
}

}  // namespace
}  // namespace wattle
