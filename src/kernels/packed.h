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
  AlignedBuffer<int32_t> minus_sum, minus_half_sum;
  AlignedBuffer<int32_t> minus_row_sum;  ///< [m], of kW8A8
  AlignedBuffer<float> dense;  ///< kF32: [k][rows] a tile; kBF16: pairs of bfloat16, [(k + 1) / 2][rows]

  /// Cuts m rows into tiles.
  void cut();
  int64_t tiles() const { return static_cast<int64_t>(begins.size()) - 1; }
  int64_t tile_begin(int64_t tile) const { return begins[static_cast<size_t>(tile)]; }
  int64_t tile_rows(int64_t tile) const { return tile_begin(tile + 1) - tile_begin(tile); }
  int64_t dense_length() const { return kind == Activations::kBF16 ? (k + 1) / 2 : k; }
  bool is_dense() const { return kind == Activations::kF32 || kind == Activations::kBF16; }

  ActivationTile tile(int64_t first_row) const {
    const ActivationStore at = store(first_row);
    return {at.q, at.scale, at.scaled_sum, at.scaled_half_sum, at.minus_sum, at.minus_half_sum};
  }
  ActivationStore store(int64_t first_row) const {
    const int64_t at = first_row * (k / 32);
    const auto wanted = [&](uint32_t bit, auto* array) { return (sums & bit) != 0 ? array : nullptr; };
    return {q.data() + at * 32,
            scale.data() + at,
            wanted(kScaledSum, scaled_sum.data() + at),
            wanted(kScaledHalfSum, scaled_half_sum.data() + at * 2),
            wanted(kSum, minus_sum.data() + at),
            wanted(kHalfSum, minus_half_sum.data() + at * 2)};
  }
};

}  // namespace wattle::inline kernels
