#include "layers/integer_attention.h"

#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "kernels/kernel_table.h"

namespace wattle::inline layers {
namespace {

struct IntegerScratch {
  AlignedBuffer<float> queries, query_scale, scores, sums, totals, weights;
  AlignedBuffer<int8_t> query_codes, codes;
  AlignedBuffer<int32_t> query_starts, code_sums;

  void reserve(int64_t rows, int64_t head_dim) {
    const auto all = static_cast<size_t>(rows), width = static_cast<size_t>(head_dim), groups = width / 32;
    queries.reserve(kQueryRows * width);
    query_codes.reserve(all * width), query_scale.reserve(all * groups), query_starts.reserve(all * groups);
    sums.reserve(all * width), totals.reserve(all * kTotals);
    scores.reserve(kQueryRows * kKeyBlock);
    weights.reserve((3 + groups) * kKeyBlock);
    codes.reserve(groups * kQueryRows * kKeyBlock);
    code_sums.reserve(groups * kQueryRows * IntegerLayout::kCells);
  }
};

IntegerScratch& integer_scratch() {
  thread_local IntegerScratch memory;
  return memory;
}

/// Attention of the rows of one key-value head, kQueryRows of them at a time: all for each block of keys, so
/// that this is read once.
class IntegerRows {
 public:
  IntegerRows(const HeadCache& head, const AttentionShape& shape, std::span<AttentionRow> rows)
      : kernels_(active_kernels().attention),
        head_(head),
        shape_(shape),
        layout_(head.format, shape.head_dim),
        rows_(rows),
        memory_(integer_scratch()),
        rotation_(1 / static_cast<float>(rotated_values(shape.head_dim))) {
    const int64_t n = shape.head_dim;
    memory_.reserve(count(), n);
    std::fill_n(memory_.sums.data(), count() * n, 0.0f);
    std::fill_n(memory_.totals.data(), count() * kTotals, 0.0f);
    std::fill_n(no_level(), kKeyBlock, 0.0f);
    const float factor = (caps() ? shape.scale : shape.scale * kLog2E) * rotation_;
    for (int64_t first = 0; first < count(); first += kQueryRows) {
      const IntegerStep step = step_of(first, 0);
      attention_kernels().gather(step.rows, step.count, factor, n, memory_.queries.data());
      rotate(memory_.queries.data(), step.count * n, n);
      kernels_.prepare(memory_.queries.data(), step);
    }
  }

  /// Of which so many positions are stored.
  void see_block(int64_t block, int64_t stored) {
    const std::byte* keys = head_.keys + static_cast<size_t>(block) * head_.key_block_bytes;
    const std::byte* values = head_.values + static_cast<size_t>(block * kKeyBlock) * head_.value_row_bytes;
    kernels_.weigh(reinterpret_cast<const uint16_t*>(values + layout_.code_bytes()), layout_.groups, stored,
                   weights());
    // Asked for a part at a time: more requests at once are lost. What lies ahead of the last block is not
    // read.
    Part ahead{0, 3 * ((count() + kQueryRows - 1) / kQueryRows)};
    const auto ask = [&] {
      ask_for(keys + layout_.block_bytes(), ahead), ask_for(values + layout_.block_bytes(), ahead);
      ++ahead.index;
    };
    for (int64_t first = 0; first < count(); first += kQueryRows) {
      const IntegerStep step = step_of(first, block);
      ask();
      kernels_.score[layout_.nibbles](step, keys, caps() ? no_level() : weights().level);
      if (caps()) cap(step);
      ask();
      kernels_.soften(step);
      ask();
      kernels_.add[layout_.nibbles](step, values);
    }
  }

  void finish() const {
    for (int64_t r = 0; r < count(); ++r) {
      const float factor = rotation_ / total(memory_.totals.data() + r * kTotals);
      float* sums = memory_.sums.data() + r * shape_.head_dim;
      rotate(sums, shape_.head_dim, shape_.head_dim);
      float* out = rows_[static_cast<size_t>(r)].out;
      for (int64_t i = 0; i < shape_.head_dim; ++i) out[i] = sums[i] * factor;
    }
  }

 private:
  /// A part of a block's lines, before they are read: the processor's own requests end with a page.
  void ask_for(const std::byte* block, Part part) const {
    const IndexRange lines = part.range(layout_.block_bytes() / 64);
    for (int64_t line = lines.begin; line < lines.end; ++line) __builtin_prefetch(block + line * 64, 0, 3);
  }

  int64_t count() const { return static_cast<int64_t>(rows_.size()); }
  bool caps() const { return shape_.softcap > 0; }
  float* no_level() const { return memory_.weights.data(); }
  ValueWeights weights() const {
    float* level = memory_.weights.data() + kKeyBlock;
    return {level, level + kKeyBlock, level + 2 * kKeyBlock};
  }

  /// Rows from `first` on.
  IntegerStep step_of(int64_t first, int64_t block) {
    const int64_t n = shape_.head_dim, groups = layout_.groups;
    return {.nibbles = layout_.nibbles,
            .groups = groups,
            .rows = rows_.data() + first,
            .count = std::min(kQueryRows, count() - first),
            .first_key = block * kKeyBlock,
            .query_codes = memory_.query_codes.data() + first * n,
            .query_scale = memory_.query_scale.data() + first * groups,
            .query_starts = memory_.query_starts.data() + first * groups,
            .weights = weights(),
            .scores = memory_.scores.data(),
            .totals = memory_.totals.data() + first * kTotals,
            .sums = memory_.sums.data() + first * n,
            .codes = memory_.codes.data(),
            .code_sums = memory_.code_sums.data(),
            .code_scale = code_scale_};
  }

  /// Scores without levels to scores with them, by way of the cap.
  void cap(const IntegerStep& step) const {
    attention_kernels().cap(step.scores, step.count, kKeyBlock, shape_.softcap);
    for (int64_t i = 0; i < step.count * kKeyBlock; ++i)
      step.scores[i] = step.scores[i] * kLog2E + step.weights.level[i % kKeyBlock];
  }

  /// By halves: lanes i and i + 8, then i and i + 4 ...
  static float total(const float* lanes) {
    float sums[kTotals];
    std::copy_n(lanes, kTotals, sums);
    for (int64_t half = kTotals / 2; half > 0; half /= 2) {
      for (int64_t i = 0; i < half; ++i) sums[i] += sums[i + half];
    }
    return sums[0];
  }

  const IntegerAttention& kernels_;
  const HeadCache& head_;
  const AttentionShape& shape_;
  const IntegerLayout layout_;
  std::span<AttentionRow> rows_;
  IntegerScratch& memory_;
  const float rotation_;  ///< what two rotations are to be multiplied with: a power of two
  alignas(64) float code_scale_[kQueryRows];
};

typedef float FourValues __attribute__((vector_size(16)));

FourValues load_four(const float* from) {
  FourValues values;
  std::memcpy(&values, from, sizeof values);
  return values;
}

/// The sums and differences of neighbours, then those of pairs. Compilers leave these two steps to scalars.
FourValues rotate_four(FourValues v) {
  constexpr FourValues kOdd = {1, -1, 1, -1}, kHigh = {1, 1, -1, -1};
  v = __builtin_shufflevector(v, v, 1, 0, 3, 2) + v * kOdd;
  return __builtin_shufflevector(v, v, 2, 3, 0, 1) + v * kHigh;
}

}  // namespace

void rotate(float* values, int64_t count, int64_t head_dim) {
  const int64_t size = rotated_values(head_dim);
  const auto store = [](float* to, FourValues four) { std::memcpy(to, &four, sizeof four); };
  for (float* end = values + count; values < end; values += size) {
    for (int64_t i = 0; i < size; i += 4) store(values + i, rotate_four(load_four(values + i)));
    for (int64_t half = 4; half < size; half *= 2) {
      for (int64_t first = 0; first < size; first += 2 * half) {
        for (int64_t i = first; i < first + half; i += 4) {
          const FourValues a = load_four(values + i), b = load_four(values + i + half);
          store(values + i, a + b), store(values + i + half, a - b);
        }
      }
    }
  }
}

void attend_integers(const HeadCache& head, const AttentionShape& shape, std::span<AttentionRow> rows) {
  const IndexRange keys = keys_seen(rows);
  IntegerRows tile(head, shape, rows);
  for (int64_t block = keys.begin / kKeyBlock; block * kKeyBlock < keys.end; ++block)
    tile.see_block(block, std::min(kKeyBlock, keys.end - block * kKeyBlock));
  tile.finish();
}

}  // namespace wattle::inline layers
