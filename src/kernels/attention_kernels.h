#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/format.h"

namespace wattle::inline kernels {

/// Keys are kept in blocks of so many positions, transposed, so that attention reads the keys of neighbouring
/// positions as one vector.
inline constexpr int64_t kKeyBlock = 64;

/// The stored keys and values of one head of one layer. Keys of a block, F32 and F16: [head_dim, kKeyBlock];
/// their values: rows [head_dim], one a position. Q8_0 and Q4_0: IntegerLayout.
struct HeadCache {
  Format format = Format::kF32;
  const std::byte* keys = nullptr;
  const std::byte* values = nullptr;
  size_t key_block_bytes = 0;
  size_t value_row_bytes = 0;  ///< of Q8_0 and Q4_0: a block's over kKeyBlock
};

/// Whether attention over keys and values of this format multiplies integers.
constexpr bool is_integer_cache(Format format) {
  return format == Format::kQ8_0 || format == Format::kQ4_0;
}

/// Where a block of kKeyBlock positions of one head lies in Q8_0 or Q4_0, as integer attention reads it: the
/// codes, then the scales in F16, one for each position and 32 values. Codes of Q4_0 are nibbles: value i of
/// 32 is the low one of its byte, value 16 + i the high one.
///
/// Keys are four panels of 16 positions as products read them (recipes.h): cells of 4 values of each
/// position, unsigned with zero point 128 (Q4_0: 8); scales [panel][group][16]. Values are cells of kCellKeys
/// positions that lie kCells apart, each with all 32 values of a group, signed (Q4_0: nibbles with zero point
/// 8); scales [group][kKeyBlock].
struct IntegerLayout {
  static constexpr int64_t kPanel = 16, kPanels = kKeyBlock / kPanel, kCellKeys = 4,
                           kCells = kKeyBlock / kCellKeys;

  int64_t groups = 0;  ///< of 32 values
  bool nibbles = false;

  constexpr IntegerLayout(int64_t groups, bool nibbles) : groups(groups), nibbles(nibbles) {}
  constexpr IntegerLayout(Format format, int64_t head_dim)
      : IntegerLayout(head_dim / 32, format == Format::kQ4_0) {}

  /// Codes of all positions of one group.
  int64_t group_bytes() const { return kKeyBlock * (nibbles ? 16 : 32); }
  int64_t code_bytes() const { return groups * group_bytes(); }
  int64_t block_bytes() const { return code_bytes() + groups * kKeyBlock * int64_t{sizeof(uint16_t)}; }

  /// The byte of value i of a group for keys and for values, from the block's beginning.
  int64_t key_code(int64_t position, int64_t group, int64_t i) const {
    const int64_t of_panel = (position / kPanel * groups + group) * (group_bytes() / kPanels);
    if (nibbles) i %= 16;
    return of_panel + i / 4 * 64 + position % kPanel * 4 + i % 4;
  }
  int64_t value_code(int64_t position, int64_t group, int64_t i) const {
    const int64_t wide = nibbles ? 16 : 32;
    return group * group_bytes() + (position % kCells * wide + i % wide) * kCellKeys + position / kCells;
  }
  /// Of their scales, the index.
  int64_t key_scale(int64_t position, int64_t group) const {
    return (position / kPanel * groups + group) * kPanel + position % kPanel;
  }
  int64_t value_scale(int64_t position, int64_t group) const { return group * kKeyBlock + position; }
};

/// One query of one head, the place of its answer, and its online softmax (Milakov and Gimelshein 2018): the
/// keys from .. to that it sees, a bias by the key's position or null, and what has been seen so far.
struct AttentionRow {
  const float* query = nullptr;
  float* out = nullptr;
  int64_t from = 0, to = 0;
  const float* bias = nullptr;
  float maximum = -__builtin_inff(), total = 0;
  float factor = 1;  ///< of the last step: what was summed before it is to be multiplied with
};

/// The inner loops of attention; every instruction set has the same furniture (attention_body.h).
struct AttentionKernels {
  /// c [rows, columns] (+)= a [rows, depth] times b [depth, columns]; strides in elements. Each element's sum
  /// runs over depth in order, whatever the number of rows, so batching does not change a bit.
  void (*product_f32)(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride,
                      const float* b, int64_t b_stride, float* c, int64_t c_stride, bool add);
  /// The same with b in IEEE binary16.
  void (*product_f16)(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride,
                      const uint16_t* b, int64_t b_stride, float* c, int64_t c_stride, bool add);
  /// scores [count, columns], stride kKeyBlock, become cap * tanh(score / cap) (Gemma 2's soft cap), within
  /// 1e-6 * cap.
  void (*cap)(float* scores, int64_t count, int64_t columns, float cap);
  /// One step of every row's softmax: scores [count, columns], stride kKeyBlock, of the keys from `first_key`
  /// on become exp(score + bias - maximum) under the new maximum, 0 where a row does not see. columns is a
  /// multiple of 16. exp is within 2e-7 relative of the exact value.
  void (*soften)(AttentionRow* rows, int64_t count, float* scores, int64_t first_key, int64_t columns);
  /// queries [count, n] = the rows' queries times `factor`.
  void (*gather)(const AttentionRow* rows, int64_t count, float factor, int64_t n, float* queries);
  /// sums [count, n] times each row's factor.
  void (*rescale)(const AttentionRow* rows, int64_t count, int64_t n, float* sums);
  /// The rows' answers = sums [count, n] over their totals.
  void (*scatter)(const AttentionRow* rows, int64_t count, int64_t n, const float* sums);
  /// from [rows, columns] to to [columns, kKeyBlock]; at most kKeyBlock rows.
  void (*transpose)(const float* from, int64_t stride, int64_t rows, int64_t columns, float* to);
};

inline constexpr float kLog2E = 1.44269504088896341f;

/// What integer attention takes from the scales of a block's values, for all rows.
struct ValueWeights {
  float* level;    ///< [kKeyBlock]: about the binary logarithm of a position's largest scale
  float* inverse;  ///< [kKeyBlock]: 2^-level
  float* factor;   ///< [groups][kKeyBlock]: kTopCode * 2^-level * the scale
};

/// Rows of a step, and the lanes of the total of a softmax.
constexpr int64_t kQueryRows = 16, kTotals = 16;

/// A step of integer attention: up to kQueryRows rows and a block of kKeyBlock positions.
struct IntegerStep {
  bool nibbles;
  int64_t groups;  ///< of 32 values
  AttentionRow* rows;
  int64_t count;
  int64_t first_key;
  // Of the queries: what prepare() leaves, in an order of its own; [count][32 * groups], [count][groups]
  // twice.
  int8_t* query_codes;
  float* query_scale;
  int32_t* query_starts;
  ValueWeights weights;
  float* scores;       ///< [count][kKeyBlock], in units of a binary logarithm
  float* totals;       ///< [count][kTotals], of the softmax
  float* sums;         ///< [count][32 * groups], of the values
  int8_t* codes;       ///< [groups][count][kKeyBlock] of the probabilities, in the order of the values' cells
  int32_t* code_sums;  ///< [groups][count][IntegerLayout::kCells] of nibbles
  float* code_scale;   ///< [count]
};

/// Attention with 8-bit integer products (docs/kernels.md has the definition). The same bits on every
/// instruction set and for any rows of a step. Pairs are for bytes and for nibbles.
struct IntegerAttention {
  /// Queries [count, 32 * groups], scaled, to 8 bits.
  void (*prepare)(const float* queries, const IntegerStep& step);
  /// From the scales [groups][kKeyBlock] of a block's values, of which `count` positions are stored.
  void (*weigh)(const uint16_t* scales, int64_t groups, int64_t count, const ValueWeights& out);
  /// Scores of a block's keys plus level [kKeyBlock].
  void (*score[2])(const IntegerStep& step, const std::byte* keys, const float* level);
  /// One step of every row's softmax; leaves the codes. A row's maximum is in units of a binary logarithm.
  void (*soften)(const IntegerStep& step);
  /// Adds the codes times the values of the block to the sums.
  void (*add[2])(const IntegerStep& step, const std::byte* values);
};

extern const AttentionKernels kAttentionPortable, kAttentionAvx2, kAttentionAvx512, kAttentionNeon;

}  // namespace wattle::inline kernels
