#include "layers/key_value_cache.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <wattle/error.h>

#include "kernels/kernel_table.h"
#include "layers/integer_attention.h"
#include "quant/half.h"
#include "quant/precision.h"

namespace wattle::inline layers {
namespace {

constexpr int64_t kQuantBlock = 32;

/// Codes and scales of up to kMost values: signed (Q8_0), or with zero point 8 (Q4_0).
struct QuantisedValues {
  static constexpr int64_t kMost = kMostRotated;
  alignas(64) int8_t codes[kMost];
  uint16_t scales[kMost / kQuantBlock];

  /// As activations of products: scale = the largest magnitude / 127.
  void take_q8(const float* values, int64_t count) {
    alignas(64) float exact[kMost / kQuantBlock];
    active_kernels().quantize(
        values, count, count, 1, false,
        {.q = codes, .scale = exact, .scaled_sum = nullptr, .scaled_half_sum = nullptr, .start = {}});
    for (int64_t g = 0; g < count / kQuantBlock; ++g) scales[g] = half_from_float(exact[g]);
  }
  /// The value of the largest magnitude becomes -8 times the scale, which has its sign.
  void take_q4(const float* values, int64_t count) {
    for (int64_t g = 0; g < count / kQuantBlock; ++g, values += kQuantBlock) {
      float most = 0, special = 0;
      for (int64_t i = 0; i < kQuantBlock; ++i) {
        if (std::fabs(values[i]) > std::fabs(most)) most = values[i];
        special += values[i] - values[i];  // no number where a value is none or infinite
      }
      const float scale = std::fabs(most) < 0x1p-120f ? 0 : most / -8, inverse = scale != 0 ? 1 / scale : 0;
      scales[g] = half_from_float(scale + special);
      for (int64_t i = 0; i < kQuantBlock; ++i) {
        const float level = special == 0 ? values[i] * inverse + 8.5f : 0;
        codes[g * kQuantBlock + i] = static_cast<int8_t>(std::min(15.0f, level));
      }
    }
  }
};

/// Puts codes to where `place(i)` says that value i of `count` lies; nibbles two at a time.
template <class Place>
void put_codes(const int8_t* codes, int64_t count, bool nibbles, uint8_t offset, const Place& place) {
  for (int64_t g = 0; g < count; g += kQuantBlock) {
    for (int64_t i = g; i < g + (nibbles ? kQuantBlock / 2 : kQuantBlock); ++i) {
      const auto code = static_cast<uint8_t>(codes[i]);
      *place(i) = static_cast<std::byte>(
          nibbles ? code | static_cast<uint8_t>(codes[i + kQuantBlock / 2]) << 4 : code ^ offset);
    }
  }
}

/// One position of a head in the blocks of IntegerLayout.
void store_integers(const IntegerLayout& layout, int64_t column, const float* key, const float* value,
                    std::byte* keys, std::byte* values) {
  auto* key_scales = reinterpret_cast<uint16_t*>(keys + layout.code_bytes());
  auto* value_scales = reinterpret_cast<uint16_t*>(values + layout.code_bytes());
  QuantisedValues of;
  alignas(64) float rotated[QuantisedValues::kMost];
  const auto take = [&](const float* from, int64_t count) {
    std::copy_n(from, count, rotated);
    rotate(rotated, count, layout.groups * kQuantBlock);
    layout.nibbles ? of.take_q4(rotated, count) : of.take_q8(rotated, count);
  };
  constexpr int64_t kGroups = QuantisedValues::kMost / kQuantBlock;
  for (int64_t first = 0; first < layout.groups; first += kGroups) {
    const int64_t groups = std::min(kGroups, layout.groups - first), count = groups * kQuantBlock;
    take(key + first * kQuantBlock, count);
    put_codes(of.codes, count, layout.nibbles, 0x80, [&](int64_t i) {
      return keys + layout.key_code(column, first + i / kQuantBlock, i % kQuantBlock);
    });
    for (int64_t g = 0; g < groups; ++g) key_scales[layout.key_scale(column, first + g)] = of.scales[g];
    take(value + first * kQuantBlock, count);
    put_codes(of.codes, count, layout.nibbles, 0, [&](int64_t i) {
      return values + layout.value_code(column, first + i / kQuantBlock, i % kQuantBlock);
    });
    for (int64_t g = 0; g < groups; ++g) value_scales[layout.value_scale(column, first + g)] = of.scales[g];
  }
}

constexpr int64_t kStep = 64;  ///< values of a key that are converted at once

void halves_from_floats(const float* from, int64_t count, uint16_t* to) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) to[i] = half_from_float(from[i]);
}

}  // namespace

KeyValueCache::KeyValueCache(const CacheShape& shape) : shape_(shape) {
  if (!is_cache_format(shape.format)) {
    fail("a key-value cache cannot be {}; choose {}", info(shape.format).name, kCacheFormats);
  }
  value_row_bytes_ = row_bytes(shape.format, static_cast<size_t>(shape.head_dim));
  key_block_bytes_ = value_row_bytes_ * kKeyBlock;
  if (is_integer_cache(shape.format)) {
    if (shape.head_dim % kQuantBlock != 0) {
      fail("a key-value cache cannot be {} where heads have {} values, no multiple of {}; choose F16",
           info(shape.format).name, shape.head_dim, kQuantBlock);
    }
    key_block_bytes_ = static_cast<size_t>(IntegerLayout(shape.format, shape.head_dim).block_bytes());
    value_row_bytes_ = key_block_bytes_ / kKeyBlock;
  }
  const auto blocks = static_cast<size_t>((shape.capacity + kKeyBlock - 1) / kKeyBlock);
  keys_bytes_ = blocks * key_block_bytes_;
  head_bytes_ = (keys_bytes_ + blocks * kKeyBlock * value_row_bytes_ + 63) / 64 * 64;
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
  if (other.length_ > shared) {
    for (int64_t layer = 0; layer < shape_.layers; ++layer) {
      for (int64_t head = 0; head < shape_.kv_heads; ++head) {
        const size_t key = first_block * key_block_bytes_;
        const size_t value = first_block * kKeyBlock * value_row_bytes_;
        std::memcpy(keys(layer, head) + key, other.keys(layer, head) + key, blocks * key_block_bytes_);
        std::memcpy(values(layer, head) + value, other.values(layer, head) + value,
                    blocks * kKeyBlock * value_row_bytes_);
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
  const auto block_index = static_cast<size_t>(position / kKeyBlock);
  std::byte* block = keys(layer, head) + block_index * key_block_bytes_;
  std::byte* row = values(layer, head) + static_cast<size_t>(position) * value_row_bytes_;
  const int64_t column = position % kKeyBlock;
  const int64_t n = shape_.head_dim;
  if (is_integer_cache(shape_.format)) {
    store_integers(IntegerLayout(shape_.format, n), column, key, value, block,
                   values(layer, head) + block_index * kKeyBlock * value_row_bytes_);
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
