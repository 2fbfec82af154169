#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "kernels/attention_kernels.h"
#include "quant/format.h"
#include "tensor/matrix.h"

namespace wattle::inline layers {

struct CacheShape {
  int64_t layers = 0, kv_heads = 0, head_dim = 0;
  int64_t capacity = 0;          ///< positions
  Format format = Format::kF16;  ///< one of is_cache_format()
};

/// Keys and values of one sequence for all layers, owned by the caller; made by ContinuesText::new_cache.
/// Memory is reserved for `capacity` positions, but the operating system gives pages only to those written.
class KeyValueCache {
 public:
  /// Error for a format that caches do not have, and for Q8_0 and Q4_0 with a head dimension that 32 does not
  /// divide.
  explicit KeyValueCache(const CacheShape& shape);

  int64_t length() const { return length_; }
  int64_t capacity() const { return shape_.capacity; }
  /// Forgets everything after the first `length` tokens (a shared prompt is computed once and reused).
  void truncate(int64_t length);
  /// Holds what `other`, a cache of the same shape, holds, whose first `shared` tokens are here already.
  void copy_from(const KeyValueCache& other, int64_t shared);
  /// An empty cache of this one's shape, under the same source.
  std::unique_ptr<KeyValueCache> sibling() const;
  size_t bytes() const { return memory_.size(); }
  /// Bytes that one position takes in all layers.
  size_t bytes_per_position() const;
  const CacheShape& shape() const { return shape_; }

  /// Stores key and value [head_dim] of a position, at or beyond length(). Threads may store different
  /// positions or heads at once.
  void store(int64_t layer, int64_t head, int64_t position, const float* key, const float* value);
  /// Counts `tokens` positions as stored, once every layer has them.
  void advance(int64_t tokens);
  HeadCache head(int64_t layer, int64_t head) const;

  /// Keys and values of what an encoder read, which the decoder's cross-attention sees; null for models
  /// without one.
  const KeyValueCache* memory() const { return memory_of_source_.get(); }
  void set_memory(std::shared_ptr<const KeyValueCache> memory) { memory_of_source_ = std::move(memory); }
  const std::shared_ptr<const KeyValueCache>& shared_memory() const { return memory_of_source_; }

 private:
  std::byte* keys(int64_t layer, int64_t head) const;
  std::byte* values(int64_t layer, int64_t head) const;

  CacheShape shape_;
  size_t key_block_bytes_ = 0, value_row_bytes_ = 0, head_bytes_ = 0, keys_bytes_ = 0;
  int64_t length_ = 0;
  AlignedBuffer<std::byte> memory_;
  std::shared_ptr<const KeyValueCache> memory_of_source_;
};

}  // namespace wattle::inline layers
