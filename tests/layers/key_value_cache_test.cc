#include "layers/key_value_cache.h"

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>
#include <wattle/error.h>

#include "layers/integer_attention.h"
#include "quant/half.h"

namespace wattle {
namespace {

constexpr int64_t kHeadDim = 64;

int code_at(const std::byte* at, bool nibble, int64_t i, int zero) {
  const auto byte = static_cast<uint8_t>(*at);
  if (nibble) return (i % 32 < 16 ? byte & 15 : byte >> 4) - 8;
  return zero == 0 ? static_cast<int8_t>(byte) : byte - zero;
}

float stored_key(const HeadCache& head, int64_t position, int64_t i) {
  const std::byte* block = head.keys + static_cast<size_t>(position / kKeyBlock) * head.key_block_bytes;
  const int64_t cell = i * kKeyBlock + position % kKeyBlock;
  if (head.format == Format::kF32) return reinterpret_cast<const float*>(block)[cell];
  if (head.format == Format::kF16) return float_from_half(reinterpret_cast<const uint16_t*>(block)[cell]);
  const IntegerLayout layout(head.format, kHeadDim);
  const int64_t column = position % kKeyBlock;
  const auto* scales = reinterpret_cast<const uint16_t*>(block + layout.code_bytes());
  const int code = code_at(block + layout.key_code(column, i / 32, i % 32), layout.nibbles, i, 128);
  return static_cast<float>(code) * float_from_half(scales[layout.key_scale(column, i / 32)]);
}

float stored_value(const HeadCache& head, int64_t position, int64_t i) {
  const std::byte* row = head.values + static_cast<size_t>(position) * head.value_row_bytes;
  if (head.format == Format::kF32) return reinterpret_cast<const float*>(row)[i];
  if (head.format == Format::kF16) return float_from_half(reinterpret_cast<const uint16_t*>(row)[i]);
  const IntegerLayout layout(head.format, kHeadDim);
  const int64_t column = position % kKeyBlock;
  const std::byte* block = head.values + static_cast<size_t>(position - column) * head.value_row_bytes;
  const auto* scales = reinterpret_cast<const uint16_t*>(block + layout.code_bytes());
  const int code = code_at(block + layout.value_code(column, i / 32, i % 32), layout.nibbles, i, 0);
  return static_cast<float>(code) * float_from_half(scales[layout.value_scale(column, i / 32)]);
}

class CacheFormats : public testing::TestWithParam<Format> {};

TEST_P(CacheFormats, KeepsKeysAndValuesWithinTheFormatsStep) {
  const bool is_integer = is_integer_cache(GetParam());
  const double step = GetParam() == Format::kF32    ? 0
                      : GetParam() == Format::kF16  ? 0x1p-11
                      : GetParam() == Format::kQ8_0 ? 0.6 / 127
                                                    : 1.01 / 8;  // the other end has one level less
  KeyValueCache cache(
      {.layers = 2, .kv_heads = 3, .head_dim = kHeadDim, .capacity = 150, .format = GetParam()});
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> keys(2 * 3 * 150 * kHeadDim), values(keys.size());
  for (float& value : keys) value = normal(random);
  for (float& value : values) value = normal(random);
  const auto at = [](int64_t layer, int64_t head, int64_t position) {
    return static_cast<size_t>(((layer * 3 + head) * 150 + position) * kHeadDim);
  };
  for (int64_t layer = 0; layer < 2; ++layer) {
    for (int64_t head = 0; head < 3; ++head) {
      for (int64_t position = 0; position < 150; ++position) {
        cache.store(layer, head, position, keys.data() + at(layer, head, position),
                    values.data() + at(layer, head, position));
      }
    }
  }
  cache.advance(150);
  if (is_integer) {
    for (std::vector<float>* stored : {&keys, &values})
      rotate(stored->data(), static_cast<int64_t>(stored->size()), kHeadDim);
  }
  for (int64_t layer = 0; layer < 2; ++layer) {
    for (int64_t head = 0; head < 3; ++head) {
      const HeadCache stored = cache.head(layer, head);
      for (int64_t position = 0; position < 150; ++position) {
        for (int64_t i = 0; i < kHeadDim; ++i) {
          const size_t index = at(layer, head, position) + static_cast<size_t>(i);
          // The steps of integers follow the largest of 32 values, each a sum of 64: below 36 here.
          const double room = is_integer ? 36 * step : step * std::abs(keys[index]) + 1e-7;
          const double room_value = is_integer ? 36 * step : step * std::abs(values[index]) + 1e-7;
          ASSERT_NEAR(stored_key(stored, position, i), keys[index], room);
          ASSERT_NEAR(stored_value(stored, position, i), values[index], room_value);
        }
      }
    }
  }
}

TEST_P(CacheFormats, TakesOverWhatAnotherHolds) {
  constexpr int64_t kHeads = 2, kLayers = 2;
  const CacheShape shape{kLayers, kHeads, kHeadDim, 200, GetParam()};
  std::mt19937 random(6);
  std::normal_distribution<float> normal;
  const auto append = [&](int64_t count, std::span<KeyValueCache* const> caches) {
    for (int64_t t = 0; t < count; ++t) {
      for (int64_t layer = 0; layer < kLayers; ++layer) {
        for (int64_t head = 0; head < kHeads; ++head) {
          std::vector<float> row(2 * kHeadDim);
          for (float& value : row) value = normal(random);
          for (KeyValueCache* cache : caches) {
            cache->store(layer, head, cache->length(), row.data(), row.data() + kHeadDim);
          }
        }
      }
      for (KeyValueCache* cache : caches) cache->advance(1);
    }
  };
  for (const int64_t shared : {0, 1, 63, 64, 70}) {
    KeyValueCache source(shape), to(shape);
    KeyValueCache* both[] = {&source, &to};
    append(shared, both);
    append(130 - shared, std::span(both).first(1));
    append(40, std::span(both).last(1));
    to.copy_from(source, shared);
    const auto fresh = source.sibling();
    EXPECT_EQ(fresh->length(), 0);
    fresh->copy_from(source, 0);
    for (const KeyValueCache* copy :
         {static_cast<const KeyValueCache*>(&to), static_cast<const KeyValueCache*>(fresh.get())}) {
      ASSERT_EQ(copy->length(), 130);
      for (int64_t i = 0; i < kLayers * kHeads; ++i) {
        const HeadCache want = source.head(i / kHeads, i % kHeads), got = copy->head(i / kHeads, i % kHeads);
        for (int64_t position = 0; position < 130; ++position) {
          for (int64_t k = 0; k < kHeadDim; ++k) {
            ASSERT_EQ(stored_key(got, position, k), stored_key(want, position, k));
            ASSERT_EQ(stored_value(got, position, k), stored_value(want, position, k));
          }
        }
      }
    }
  }
  KeyValueCache small({kLayers, kHeads, kHeadDim, 10, GetParam()}),
      other({1, kHeads, kHeadDim, 200, GetParam()}), source(shape);
  source.advance(11);
  EXPECT_THROW(small.copy_from(source, 0), Error);
  EXPECT_THROW(other.copy_from(source, 0), Error);
}

INSTANTIATE_TEST_SUITE_P(All, CacheFormats,
                         testing::Values(Format::kF32, Format::kF16, Format::kQ8_0, Format::kQ4_0),
                         [](const auto& test) { return std::string(wattle::info(test.param).name); });

TEST(KeyValueCache, CountsItsBytes) {
  const KeyValueCache cache({.layers = 4, .kv_heads = 2, .head_dim = 64, .capacity = 128});
  EXPECT_EQ(cache.bytes_per_position(), 4u * 2 * 2 * 64 * 2);
  EXPECT_EQ(cache.bytes(), 128 * cache.bytes_per_position());
}

TEST(KeyValueCache, TruncatesBackwardsOnly) {
  KeyValueCache cache({.layers = 1, .kv_heads = 1, .head_dim = 32, .capacity = 64});
  cache.advance(10);
  cache.truncate(4);
  EXPECT_EQ(cache.length(), 4);
  EXPECT_THROW(cache.truncate(5), Error);
  EXPECT_THROW(cache.truncate(-1), Error);
}

TEST(KeyValueCache, RefusesOtherFormats) {
  EXPECT_THROW(
      KeyValueCache({.layers = 1, .kv_heads = 1, .head_dim = 32, .capacity = 1, .format = Format::kQ5_0}),
      Error);
  for (const Format format : {Format::kQ8_0, Format::kQ4_0}) {
    EXPECT_THROW(KeyValueCache({.layers = 1, .kv_heads = 1, .head_dim = 48, .capacity = 1, .format = format}),
                 Error);
  }
}

}  // namespace
}  // namespace wattle
