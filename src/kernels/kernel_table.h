#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/attention_kernels.h"
#include "kernels/matmul.h"

namespace wattle::inline kernels {

/// What one instruction set offers: the same furniture in every one. Everything above this table (partition
/// over threads, packing, shapes) is written once; everything below is compiled once for each instruction set
/// from the same templates (recipes.h, tiles.h, epilogue.h), and only through this table is it called.
///
/// The order of operations of an output element depends on the format alone, never on the instruction set
/// (lanes.h; bfloat16 excepted), the rows of a tile, its place or the path (direct or by way of unpacked
/// blocks): batched and single rows, any number of threads and any machine give the same bits.

constexpr int kTileRows = 6;      ///< most rows of activations of a tile
constexpr int kTileColumns = 32;  ///< outputs of a tile: two panels
constexpr int kGroups = 8;        ///< a block of 32 weights is 8 groups of 4

/// Where a panel's two streams begin (tensor/panels.h).
struct Panel {
  const std::byte* heads = nullptr;
  const std::byte* bodies = nullptr;
};

/// 16 rows x 32 weights unpacked: weight = scale * factor * (q - zero point) - minimum. Index 0 and 1 of
/// scale, factor and minimum are the halves of the block where a format has two; what a format does not have
/// stays unset.
struct UnpackedBlock {
  alignas(64) uint8_t q[kGroups][64];
  alignas(64) float scale[2][16];
  alignas(64) int32_t factor[2][16];
  alignas(64) float minimum[2][16];
};

/// Where the dot products of a block (or of its halves) begin: the zero point of the weights times minus the
/// sum of the activations' codes. Formats of one zero point share them.
struct Start {
  bool halves;
  int zero_point;
  friend constexpr bool operator==(const Start&, const Start&) = default;
};
constexpr Start kStarts[] = {{false, 8},  {false, 16}, {false, 127}, {false, 128},
                             {false, -1}, {true, 4},   {true, 32}};
constexpr int kStartCount = sizeof kStarts / sizeof kStarts[0];

/// For constants alone: a start that is none of kStarts is no constant expression.
consteval int index_of_start(const Start& start) {
  int index = 0;
  while (kStarts[index] != start) ++index;
  return index;
}

/// The bits of 1.5 * 2^23. A dot product that begins there and stays under 2^22 is a float of that much more
/// than itself, so one fused multiply-add both converts it and multiplies it with a scale of few bits,
/// rounded once (fma(1.5 * 2^23 + dot, scale, -1.5 * 2^23 * scale)): an instruction less than converting and
/// multiplying, with the same bits.
constexpr int32_t kFloatStart = 0x4B400000;
constexpr float kFloatStartValue = 12582912.0f;

/// Whether such dot products are multiplied with integers and therefore begin as plain ones.
constexpr bool is_plain_start(const Start& start) {
  return start.halves && start.zero_point == 4;
}

/// Which sums of quantised activations a product needs beside their scales: bits of a mask, with kStartBit <<
/// i for kStarts[i]. Those that no product asked for are not computed (five sums of every block cost as much
/// as the codes themselves).
enum SumBits : uint32_t { kScaledSum = 1, kScaledHalfSum = 2, kStartBit = 4 };

/// Quantised activations of the rows of one tile; every array is [blocks of 32][rows], of halves
/// [blocks][2][rows].
struct ActivationTile {
  const int8_t* q = nullptr;  ///< [blocks][rows][32]
  const float* scale = nullptr;
  const float* scaled_sum = nullptr;       ///< scale * sum of q
  const float* scaled_half_sum = nullptr;  ///< the same for either half of a block
  const int32_t* start = nullptr;          ///< of the format's zero point
  const int32_t* half_start = nullptr;

  // Inlined always, so that no copy compiled for one instruction set can be linked into another.
  __attribute__((always_inline)) ActivationTile from_block(int64_t block, int64_t rows) const {
    return from(block * rows * 32, block * rows, block * rows * 2);
  }
  __attribute__((always_inline)) ActivationTile from_row(int64_t row) const {
    return from(row * 32, row, row);
  }

 private:
  /// Absent arrays stay absent.
  __attribute__((always_inline)) ActivationTile from(int64_t codes, int64_t blocks, int64_t halves) const {
    return {q + codes,
            scale + blocks,
            scaled_sum == nullptr ? nullptr : scaled_sum + blocks,
            scaled_half_sum == nullptr ? nullptr : scaled_half_sum + halves,
            start == nullptr ? nullptr : start + blocks,
            half_start == nullptr ? nullptr : half_start + halves};
  }
};

/// Where quantize() writes a tile; the arrays of ActivationTile, null where a sum is not wanted.
struct ActivationStore {
  int8_t* q;
  float* scale;
  float* scaled_sum;
  float* scaled_half_sum;
  int32_t* start[kStartCount];
};

/// One piece of a result on its way from the accumulators to memory: `rows` x `width` outputs, at most a
/// tile's.
struct StoreJob {
  const float* accumulators;  ///< [rows][kTileColumns]
  const float* up;            ///< the same for the up half of a gated product, or null
  const float* bias;          ///< [width] or null
  const float* up_bias;
  const float* residual;  ///< [rows, width] or null
  int64_t residual_stride;
  float* out;
  int64_t out_stride;
  int rows;
  int width;
  ActivationFunction function;
};

/// What a tile can ask memory for: whether its panels are not yet in a near cache, and the bytes from either
/// panel to the one that is read after it.
struct Ahead {
  bool is_cold = false;
  int64_t left = 0, right = 0;
};

/// acc [rows][kTileColumns] = x times the panels a and b over `blocks` blocks of 32.
using DirectTile = void (*)(Panel a, Panel b, const ActivationTile& x, int64_t blocks, float* acc,
                            Ahead ahead);
/// One row times one panel, streaming: acc [16].
using VectorTile = void (*)(Panel panel, const ActivationTile& x, int64_t blocks, float* acc);
/// Unpacks `count` blocks of 32 from block `first` on; for K-quants both are multiples of 8.
using Unpack = void (*)(Panel panel, int64_t first, int64_t count, UnpackedBlock* out);
/// `count` (even) weights from weight `begin` (even) of unpacked blocks on as cells [.][16] that dense tiles
/// read: floats, or pairs of bfloat16.
using DenseOfBlocks = void (*)(const UnpackedBlock* blocks, int64_t begin, int64_t count, bool pairs,
                               std::byte* out);
using UnpackedTile = void (*)(const UnpackedBlock* a, const UnpackedBlock* b, const ActivationTile& x,
                              int64_t blocks, float* acc, bool first);
/// What a dense tile asks memory for while it works: of two streams, so many cache lines every kAskEvery
/// steps.
struct DenseAhead {
  const std::byte *left = nullptr, *right = nullptr;
  int64_t lines = 0;
};
constexpr int64_t kAskEvery = 8;
/// What the 32-bit cells of dense weights hold.
enum class Cells { kFloat, kBfloat16, kHalves };
/// Dense weights a, b [count][16] and x [count][rows]: floats, or pairs of bfloat16 in 32 bits. Pairs of IEEE
/// halves take x [2 * count][rows] of floats, and so do those of bfloat16 where KernelTable::bfloat16_pairs
/// is not set.
using DenseTile = void (*)(const void* a, const void* b, const void* x, int64_t count, float* acc, bool first,
                           DenseAhead ahead);

/// acc [rows][kTileColumns] = x times the panels a and b of 8-bit weights with one scale a row, [blocks][8]
/// cells of unsigned bytes with zero point 128; a_scale and b_scale [16]. minus_row_sum [rows]: the negated
/// sums of all codes of a row; x.scale holds one scale a row. `ahead.lines` are asked for in every block.
using IntegerTile = void (*)(const std::byte* a, const std::byte* b, const float* a_scale,
                             const float* b_scale, const ActivationTile& x, const int32_t* minus_row_sum,
                             int64_t blocks, float* acc, DenseAhead ahead);

/// The kernels of a quantised format. Tiles are indexed by rows (0 is unused).
struct FormatKernels {
  uint32_t sums = 0;    ///< SumBits
  int start = -1;       ///< in kStarts, of whole blocks; -1: none
  int half_start = -1;  ///< of halves
  Unpack unpack = nullptr;
  DenseOfBlocks dense = nullptr;
  VectorTile vector = nullptr;
  DirectTile direct[kTileRows + 1] = {};
  UnpackedTile unpacked[kTileRows + 1] = {};
};

/// Operations on rows of floats (elementwise.h says what each does).
struct RowKernels {
  void (*apply)(ActivationFunction function, float* values, int64_t count);
  void (*softmax)(float* values, int64_t count, float scale, const float* bias);
  void (*rms_norm)(const float* x, const float* weight, float epsilon, bool add_one, float* out,
                   int64_t count);
  void (*layer_norm)(const float* x, const float* weight, const float* bias, float epsilon, float* out,
                     int64_t count);
  void (*rotate_halves)(float* head, const float* cosine, const float* sine, int64_t half);
  void (*rotate_neighbours)(float* head, const float* cosines, const float* sines, int64_t count);
};

struct KernelTable {
  FormatKernels formats[32];  ///< by the value of Format; entries of other formats stay empty
  /// Whether direct tiles of 32-blocks read the panels themselves: then they are as fast for many rows.
  bool reads_panels = false;
  DenseTile f32[kTileRows + 1];
  DenseTile f16[kTileRows + 1];
  DenseTile bf16[kTileRows + 1];
  bool bfloat16_pairs = false;  ///< whether bf16 reads activations as pairs of bfloat16
  IntegerTile by_rows[kTileRows + 1];
  /// The same as DenseOfBlocks for `count` weights of F32, F16 or BF16 from `cells` on.
  void (*widen)(Format format, const std::byte* cells, int64_t count, bool pairs, std::byte* out);
  /// Rows x [rows, k] of a tile to 8 bits, one scale a block of 32 or one a row.
  void (*quantize)(const float* x, int64_t stride, int64_t k, int rows, bool one_scale_a_row,
                   const ActivationStore& out);
  /// The same for weights by rows: one scale a row in scale [rows], and the negated sums of a row's codes.
  void (*quantize_rows)(const float* x, int64_t stride, int64_t k, int rows, int8_t* q, float* scale,
                        int32_t* minus_row_sum);
  /// `count` floats as bfloat16, rounded to nearest even.
  void (*bfloat16)(const float* x, int64_t count, uint16_t* out);
  void (*store)(const StoreJob& job);
  RowKernels rows;
  IntegerAttention attention;

  const FormatKernels& of(Format format) const { return formats[static_cast<uint32_t>(format)]; }
};

/// The table of the active instruction set (base/cpu.h).
const KernelTable& active_kernels();

/// Whether weights beyond the caches come faster when they are asked for as read once (prefetchnta). On a Zen
/// 5 by 5 to 10 %; on Intel, which keeps such lines in a small part of the first-level cache, where half of
/// them are lost again before they are read, they come half as fast (Emerald Rapids, a plain loop 8 KB ahead:
/// 6.7 instead of 14 GB/s a core).
bool reads_once_faster();

/// Whether integer and float instructions of 512 bits share their ports (Intel: 0 and 5), so that each one
/// beside the dot products takes the place of one.
bool vectors_share_ports();

/// Whether the processor multiplies pairs of bfloat16 faster than floats: on Intel one vdpbf16ps takes as
/// long as four multiply-adds of floats, which do the work of two.
bool multiplies_bfloat16();

/// For tests: `table` in place of the active instruction set's, until null is given.
void replace_kernels(const KernelTable* table);

// One for each instruction set; defined in isa_*.cc and called only where the processor runs it.
const KernelTable& kernels_portable();
const KernelTable& kernels_avx2();
const KernelTable& kernels_avx2vnni();
const KernelTable& kernels_avx512();
const KernelTable& kernels_avx512vnni();
const KernelTable& kernels_avx512bf16();
const KernelTable& kernels_neon();
const KernelTable& kernels_neondot();

}  // namespace wattle::inline kernels
