#include "layers/key_value_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <wattle/error.h>

#include "quant/half.h"

namespace wattle::inline layers {
namespace {

constexpr int64_t kQuantBlock = 32;

// Scale of 32 values as Q8_0 stores it, and the factor that quantises by it.
struct BlockScale {
  uint16_t stored;
  float inverse;
};
BlockScale block_scale(const float* values) {
  float largest = 0;
  for (int64_t i = 0; i < kQuantBlock; ++i) largest = std::max(largest, std::fabs(values[i]));
  return {half_from_float(largest / 127), largest > 0 ? 127 / largest : 0};
}

int8_t quantise(float value, float inverse) {
  return static_cast<int8_t>(std::clamp(std::nearbyintf(value * inverse), -127.0f, 127.0f));
}

constexpr int64_t kStep = 64;  ///< values of a key that are converted at once

void halves_from_floats(const float* from, int64_t count, uint16_t* to) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) to[i] = half_from_float(from[i]);
}

void store_key_q8(const float* key, int64_t head_dim, int64_t column, std::byte* block) {
  auto* quants = reinterpret_cast<int8_t*>(block);
  auto* scales = reinterpret_cast<uint16_t*>(block + head_dim * kKeyBlock);
  for (int64_t group = 0; group < head_dim / kQuantBlock; ++group) {
    const BlockScale scale = block_scale(key + group * kQuantBlock);
    scales[group * kKeyBlock + column] = scale.stored;
    for (int64_t i = group * kQuantBlock; i < (group + 1) * kQuantBlock; ++i) {
      quants[i * kKeyBlock + column] = quantise(key[i], scale.inverse);
    }
  }
}

void store_value_q8(const float* value, int64_t head_dim, std::byte* row) {
  const size_t block_bytes = info(Format::kQ8_0).block_bytes;
  for (int64_t group = 0; group < head_dim / kQuantBlock; ++group, row += block_bytes) {
    const BlockScale scale = block_scale(value + group * kQuantBlock);
    std::memcpy(row, &scale.stored, sizeof scale.stored);
    auto* quants = reinterpret_cast<int8_t*>(row + sizeof scale.stored);
    for (int64_t i = 0; i < kQuantBlock; ++i)
      quants[i] = quantise(value[group * kQuantBlock + i], scale.inverse);
  }
}

}  // namespace

KeyValueCache::KeyValueCache(const CacheShape& shape) : shape_(shape) {
  if (shape.format != Format::kF32 && shape.format != Format::kF16 && shape.format != Format::kQ8_0) {
    fail("--cache {}: a key-value cache is kept as F32, F16 or Q8_0; name one of them",
         info(shape.format).name);
  }
  if (shape.format == Format::kQ8_0 && shape.head_dim % kQuantBlock != 0) {
    fail("--cache Q8_0: heads of {} values are no multiple of {}; use F16", shape.head_dim, kQuantBlock);
  }
  const int64_t blocks = (shape.capacity + kKeyBlock - 1) / kKeyBlock;
  value_row_bytes_ = row_bytes(shape.format, static_cast<size_t>(shape.head_dim));
  key_block_bytes_ =
      shape.format == Format::kQ8_0
          ? static_cast<size_t>(kKeyBlock * (shape.head_dim + shape.head_dim / kQuantBlock * 2))
          : value_row_bytes_ * kKeyBlock;
  keys_bytes_ = static_cast<size_t>(blocks) * key_block_bytes_;
  head_bytes_ = (keys_bytes_ + static_cast<size_t>(shape.capacity) * value_row_bytes_ + 63) / 64 * 64;
  memory_ = AlignedBuffer<std::byte>(head_bytes_ * static_cast<size_t>(shape.layers * shape.kv_heads));
}

void KeyValueCache::truncate(int64_t length) {
  if (length < 0 || length > length_) {
    fail("a cache of {} tokens cannot be cut to {}; give a length between 0 and {}", length_, length,
         length_);
  }
  length_ = length;
}

void KeyValueCache::copy_from(const KeyValueCache& other, int64_t shared) {
  const CacheShape& theirs = other.shape_;
  if (theirs.layers != shape_.layers || theirs.kv_heads != shape_.kv_heads ||
      theirs.head_dim != shape_.head_dim || theirs.format != shape_.format) {
    fail("a cache can take over only what a cache of the same model and format holds");
  }
  if (other.length_ > shape_.capacity) {
    fail("a cache for {} tokens cannot take over the {} of another; make it larger", shape_.capacity,
         other.length_);
  }
  shared = std::min({shared, length_, other.length_});
  const auto first_block = static_cast<size_t>(shared / kKeyBlock);
  const auto blocks = static_cast<size_t>((other.length_ + kKeyBlock - 1) / kKeyBlock) - first_block;
  const auto rows = static_cast<size_t>(other.length_ - shared);
  if (rows > 0) {
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      for (int64_t head = 0; head < shape_.kv_heads; ++head) {
        const size_t key = first_block * key_block_bytes_;
        const size_t value = static_cast<size_t>(shared) * value_row_bytes_;
        std::memcpy(keys(layer, head) + key, other.keys(layer, head) + key, blocks * key_block_bytes_);
        std::memcpy(values(layer, head) + value, other.values(layer, head) + value, rows * value_row_bytes_);
      }
    }
  }
  length_ = other.length_;
}

std::unique_ptr<KeyValueCache> KeyValueCache::sibling() const {
  auto cache = std::make_unique<KeyValueCache>(shape_);
  cache->set_memory(memory_of_source_);
  return cache;
}

size_t KeyValueCache::bytes_per_position() const {
  return static_cast<size_t>(shape_.layers * shape_.kv_heads) *
         (key_block_bytes_ / kKeyBlock + value_row_bytes_);
}

void KeyValueCache::advance(int64_t tokens) {
  length_ += tokens;
}

std::byte* KeyValueCache::keys(int64_t layer, int64_t head) const {
  return memory_.data() + head_bytes_ * static_cast<size_t>(layer * shape_.kv_heads + head);
}

std::byte* KeyValueCache::values(int64_t layer, int64_t head) const {
  return keys(layer, head) + keys_bytes_;
}

void KeyValueCache::store(int64_t layer, int64_t head, int64_t position, const float* key,
                          const float* value) {
  std::byte* block = keys(layer, head) + static_cast<size_t>(position / kKeyBlock) * key_block_bytes_;
  std::byte* row = values(layer, head) + static_cast<size_t>(position) * value_row_bytes_;
  const int64_t column = position % kKeyBlock;
  const int64_t n = shape_.head_dim;
  if (shape_.format == Format::kQ8_0) {
    store_key_q8(key, n, column, block);
    store_value_q8(value, n, row);
  } else if (shape_.format == Format::kF16) {
    auto* key_column = reinterpret_cast<uint16_t*>(block) + column;
    auto* value_row = reinterpret_cast<uint16_t*>(row);
    halves_from_floats(value, n, value_row);
    uint16_t halves[kStep];
    for (int64_t begin = 0; begin < n; begin += kStep) {
      const int64_t count = std::min(kStep, n - begin);
      halves_from_floats(key + begin, count, halves);
      for (int64_t i = 0; i < count; ++i) key_column[(begin + i) * kKeyBlock] = halves[i];
    }
  } else {
    auto* key_column = reinterpret_cast<float*>(block) + column;
    for (int64_t i = 0; i < n; ++i) key_column[i * kKeyBlock] = key[i];
    std::memcpy(row, value, static_cast<size_t>(n) * sizeof(float));
  }
}

HeadCache KeyValueCache::head(int64_t layer, int64_t head) const {
  return {shape_.format, keys(layer, head), values(layer, head), key_block_bytes_, value_row_bytes_};
}

}  // namespace wattle::inline layers
