#pragma once

#include <memory>
#include <vector>

#include "kernels/kernel_table.h"
#include "kernels/matmul.h"
#include "tensor/panels.h"

namespace wattle::inline kernels {

struct PackedMatrix::Data {
  PanelLayout layout;
  int64_t n = 0, k = 0;
  std::shared_ptr<std::byte> panels;
  /// By rows: panels are [k / 4] cells of 8-bit weights plus 128, and this is [panels][16]; else empty.
  std::vector<float> row_scales;
  size_t bytes = 0;

  int64_t panel_count() const { return (n + PanelLayout::kRows - 1) / PanelLayout::kRows; }
  int64_t blocks32() const { return k / 32; }
  bool is_by_rows() const { return !row_scales.empty(); }
  const std::byte* integer_panel(int64_t index) const {
    return panels.get() + index * k * PanelLayout::kRows;
  }
  Panel panel(int64_t index) const {
    const std::byte* heads = panels.get() + index * layout.panel_bytes(k);
    return {heads, heads + layout.heads_bytes(k)};
  }
};

/// Weights [begin, begin + count) of a panel as the cells that dense tiles read: floats, or pairs of
/// bfloat16. `blocks`: room for the unpacked blocks that hold them, a body more than they are long.
void decode_cells(const PackedMatrix::Data& weights, Panel panel, int64_t begin, int64_t count, bool pairs,
                  UnpackedBlock* blocks, std::byte* out);

/// Rows are cut into tiles of at most kTileRows, as even as they go; a tile's rows lie together, block by
/// block.
struct PackedActivations::Data {
  Activations kind = Activations::kF32;
  uint32_t sums = 0;  ///< SumBits that the arrays hold
  int64_t m = 0, k = 0;
  std::vector<int64_t> begins;  ///< of the tiles' rows, and m after them
  AlignedBuffer<int8_t> q;
  AlignedBuffer<float> scale, scaled_sum, scaled_half_sum;
  AlignedBuffer<int32_t> start[kStartCount];
  AlignedBuffer<int32_t> minus_row_sum;  ///< [m], of kW8A8
  bool bfloat16_pairs = false;           ///< KernelTable::bfloat16_pairs when they were packed
  /// kF32: [k][rows] a tile; kBF16: pairs of bfloat16, [(k + 1) / 2][rows], or as many floats of its
  /// precision
  AlignedBuffer<float> dense;

  /// Cuts m rows into tiles.
  void cut();
  int64_t tiles() const { return static_cast<int64_t>(begins.size()) - 1; }
  int64_t tile_begin(int64_t tile) const { return begins[static_cast<size_t>(tile)]; }
  int64_t tile_rows(int64_t tile) const { return tile_begin(tile + 1) - tile_begin(tile); }
  /// 32-bit values of a row in `dense`.
  int64_t dense_length() const {
    if (kind != Activations::kBF16) return k;
    return bfloat16_pairs ? (k + 1) / 2 : (k + 1) / 2 * 2;
  }
  bool is_dense() const { return kind == Activations::kF32 || kind == Activations::kBF16; }

  /// What products with weights of a format read; without one, what those with weights by rows do.
  ActivationTile tile(int64_t first_row, const FormatKernels& format) const {
    const ActivationStore at = store(first_row);
    const auto start_of = [&](int index) { return index < 0 ? nullptr : at.start[index]; };
    return {at.q,
            at.scale,
            at.scaled_sum,
            at.scaled_half_sum,
            start_of(format.start),
            start_of(format.half_start)};
  }
  ActivationTile tile(int64_t first_row) const {
    const int64_t at = first_row * (k / 32);
    return {q.data() + at * 32, scale.data() + at};
  }
  ActivationStore store(int64_t first_row) const {
    const int64_t at = first_row * (k / 32);
    const auto wanted = [&](uint32_t bit, auto* array) { return (sums & bit) != 0 ? array : nullptr; };
    ActivationStore to{q.data() + at * 32,
                       scale.data() + at,
                       wanted(kScaledSum, scaled_sum.data() + at),
                       wanted(kScaledHalfSum, scaled_half_sum.data() + at * 2),
                       {}};
    for (int i = 0; i < kStartCount; ++i)
      to.start[i] = wanted(kStartBit << i, start[i].data() + (kStarts[i].halves ? 2 * at : at));
    return to;
  }
};

}  // namespace wattle::inline kernels
