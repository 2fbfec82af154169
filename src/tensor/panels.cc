#include "tensor/panels.h"

#include <algorithm>
#include <cstring>

#include <wattle/error.h>

namespace wattle::inline tensor {
namespace {

constexpr int64_t kRows = PanelLayout::kRows;

/// Bit 4t+i goes to bit 8i+t: an 8 x 4 transpose of bits.
uint32_t spread_high_bits(uint32_t bits) {
  uint32_t spread = 0;
  for (int t = 0; t < 8; ++t) {
    const uint32_t group = bits >> (4 * t) & 15u;
    spread |= ((group & 1u) | (group & 2u) << 7 | (group & 4u) << 14 | (group & 8u) << 21) << t;
  }
  return spread;
}

uint32_t gather_high_bits(uint32_t spread) {
  uint32_t bits = 0;
  for (int t = 0; t < 8; ++t) {
    const uint32_t group = spread >> t;
    bits |= ((group & 1u) | (group >> 7 & 2u) | (group >> 14 & 4u) | (group >> 21 & 8u)) << (4 * t);
  }
  return bits;
}

/// The cell that holds a block's high bits, or -1.
int64_t high_bits_cell(Format format) {
  if (format == Format::kQ5_0) return 0;
  if (format == Format::kQ5_1) return 1;
  return -1;
}

uint32_t flip_of(Format format) {
  return format == Format::kQ8_0 ? 0x80808080u : 0u;
}

/// Cells of high bits lie between the first eight low cells that they complete: h0 l0 h1 l1 .. h7 l7, then l8
/// ...
int64_t interleaved(int64_t low) {
  return low < 8 ? 2 * low + 1 : low + 8;
}

/// Where the panel keeps a block's cell: in the order in which products first read them, scales before
/// weights, so that a single row reads memory in one direction, as the processor's own prefetching wants it
/// (Q6_K beyond the caches on a Zen 4: 7 GB/s a core in the file's order).
int64_t place_of(Format format, int64_t cell) {
  switch (format) {
    case Format::kQ2_K:  // scales, weights, d
      return (cell + 1) % 21;
    case Format::kQ3_K:  // high bits, low bits, scales
      if (cell >= 24) return cell - 24;
      return 3 + (cell < 8 ? 2 * cell : interleaved(cell - 8));
    case Format::kQ5_K:  // scales, high bits, low bits
      if (cell < 4) return cell;
      return 4 + (cell < 12 ? 2 * (cell - 4) : interleaved(cell - 12));
    case Format::kQ6_K: {  // low bits, high bits, scales; low and high in two halves
      if (cell >= 48) return cell - 48;
      const bool high = cell >= 32;
      const int64_t half = high ? (cell - 32) / 8 : cell / 16;
      return 4 + half * 24 + (high ? 2 * (cell % 8) : interleaved(cell % 16));
    }
    default:
      return cell;
  }
}

/// Bytes that row `block` has left in the file: less than a block only for an odd last F16 or BF16 weight.
int64_t bytes_of_block(const PanelLayout& layout, int64_t k, int64_t block) {
  if (layout.block_weights > 2) return layout.block_bytes;
  const int64_t weights = std::min(layout.block_weights, k - block * layout.block_weights);
  return layout.block_bytes * weights / layout.block_weights;
}

/// Four 32-bit cells.
typedef uint32_t FourCells __attribute__((vector_size(16)));

/// Cells [4][4] of rows to those of lanes.
inline void transpose(FourCells (&cells)[4]) {
  const FourCells a = __builtin_shufflevector(cells[0], cells[1], 0, 4, 1, 5),
                  b = __builtin_shufflevector(cells[2], cells[3], 0, 4, 1, 5),
                  c = __builtin_shufflevector(cells[0], cells[1], 2, 6, 3, 7),
                  d = __builtin_shufflevector(cells[2], cells[3], 2, 6, 3, 7);
  cells[0] = __builtin_shufflevector(a, b, 0, 1, 4, 5);
  cells[1] = __builtin_shufflevector(a, b, 2, 3, 6, 7);
  cells[2] = __builtin_shufflevector(c, d, 0, 1, 4, 5);
  cells[3] = __builtin_shufflevector(c, d, 2, 3, 6, 7);
}

/// Where a block's first cell begins in the file: behind a scale that goes to the heads.
int64_t first_cell(const PanelLayout& layout) {
  return layout.head_offset == 0 ? 2 : 0;
}

void pack_heads(const PanelLayout& layout, int64_t k, const std::byte* first_row, int64_t rows,
                std::byte* heads) {
  const auto stride = static_cast<int64_t>(row_bytes(layout.format, static_cast<size_t>(k)));
  std::memset(heads, 0, static_cast<size_t>(layout.heads_bytes(k)));
  const std::byte* source = first_row + layout.head_offset;
  for (int64_t block = 0; block < layout.blocks(k); ++block, source += layout.block_bytes) {
    for (int64_t row = 0; row < rows; ++row)
      std::memcpy(heads + (block * kRows + row) * 2, source + row * stride, 2);
  }
}

/// Whole panels: `runs` of `cells` (4 or more) cells of each row, four cells of four rows at a time. Models
/// are packed whenever they are opened; cell by cell that takes ten times as long.
void pack_runs(const PanelLayout& layout, const std::byte* first_row, int64_t stride, int64_t runs,
               int64_t cells, std::byte* body) {
  const uint32_t flip = flip_of(layout.format);
  const FourCells flips = {flip, flip, flip, flip};
  const int64_t high_bits = high_bits_cell(layout.format), run_bytes = runs == 1 ? 0 : layout.block_bytes;
  const std::byte* source = first_row + first_cell(layout);
  for (int64_t run = 0; run < runs; ++run, source += run_bytes, body += cells * 4 * kRows) {
    // The last four may be some of the four before once more.
    for (int64_t next = 0; next < cells; next += 4) {
      const int64_t cell = std::min(next, cells - 4);
      std::byte* to[4];
      for (int64_t i = 0; i < 4; ++i) to[i] = body + place_of(layout.format, cell + i) * kRows * 4;
      for (int64_t row = 0; row < kRows; row += 4) {
        FourCells four[4];
        for (int64_t i = 0; i < 4; ++i)
          std::memcpy(&four[i], source + (row + i) * stride + cell * 4, sizeof(FourCells));
        transpose(four);
        for (int64_t i = 0; i < 4; ++i) {
          four[i] ^= flips;
          std::memcpy(to[i] + row * 4, &four[i], sizeof(FourCells));
        }
      }
    }
    if (high_bits < 0) continue;
    uint32_t bits[kRows];
    std::byte* const place = body + place_of(layout.format, high_bits) * kRows * 4;
    std::memcpy(bits, place, sizeof bits);
#pragma omp simd
    for (int64_t row = 0; row < kRows; ++row) bits[row] = spread_high_bits(bits[row]);
    std::memcpy(place, bits, sizeof bits);
  }
}

/// Any number of rows of any length, cell by cell.
void pack_cells(const PanelLayout& layout, int64_t k, const std::byte* first_row, int64_t rows,
                std::byte* body) {
  const auto stride = static_cast<int64_t>(row_bytes(layout.format, static_cast<size_t>(k)));
  const int64_t high_bits = high_bits_cell(layout.format);
  const uint32_t flip = flip_of(layout.format);
  for (int64_t block = 0; block < layout.blocks(k); ++block, body += layout.body_bytes()) {
    const std::byte* source = first_row + block * layout.block_bytes + first_cell(layout);
    const auto size = static_cast<size_t>(bytes_of_block(layout, k, block));
    if (rows < kRows) std::memset(body, 0, static_cast<size_t>(layout.body_bytes()));
    for (int64_t row = 0; row < rows; ++row, source += stride) {
      for (int64_t cell = 0; cell < layout.cells; ++cell) {
        uint32_t bits = 0;
        std::memcpy(&bits, source + cell * 4, std::min<size_t>(4, size));
        bits = cell == high_bits ? spread_high_bits(bits) : bits ^ flip;
        std::memcpy(body + (place_of(layout.format, cell) * kRows + row) * 4, &bits, 4);
      }
    }
  }
}

}  // namespace

PanelLayout panel_layout(Format format) {
  PanelLayout layout;
  layout.format = format;
  switch (format) {
    case Format::kF32:
      return layout;
    case Format::kF16:
    case Format::kBF16:
      layout.block_weights = 2;
      return layout;
    case Format::kI8:
    case Format::kI16:
    case Format::kI32:
    case Format::kI64:
    case Format::kF64:
      fail("format {} is not one of weights that a product reads; convert the tensor first",
           info(format).name);
    default:
      break;
  }
  layout.block_weights = static_cast<int64_t>(info(format).block_weights);
  layout.block_bytes = static_cast<int64_t>(info(format).block_bytes);
  layout.cells = layout.block_bytes / 4;
  if (layout.block_bytes % 4 != 0) {
    const bool scale_is_last = format == Format::kQ3_K || format == Format::kQ6_K;
    layout.head_offset = scale_is_last ? layout.block_bytes - 2 : 0;
  }
  return layout;
}

void pack_panel(const PanelLayout& layout, int64_t k, const std::byte* first_row, int64_t rows,
                std::byte* panel) {
  const auto stride = static_cast<int64_t>(row_bytes(layout.format, static_cast<size_t>(k)));
  std::byte* const bodies = panel + layout.heads_bytes(k);
  if (layout.has_head()) pack_heads(layout, k, first_row, rows, panel);
  // Cells of a dense row are one run, whose order stays; a last weight that fills half a cell goes by itself.
  const bool dense = layout.block_weights <= 2;
  const int64_t cells = dense ? stride / 4 : layout.cells;
  if (rows == kRows && cells >= 4 && (!dense || stride % 4 == 0)) {
    pack_runs(layout, first_row, stride, dense ? 1 : layout.blocks(k), cells, bodies);
  } else {
    pack_cells(layout, k, first_row, rows, bodies);
  }
}

bool packs_in_place(const PanelLayout& layout, int64_t rows, int64_t k) {
  return rows % PanelLayout::kRows == 0 &&
         layout.panel_bytes(k) ==
             PanelLayout::kRows * static_cast<int64_t>(row_bytes(layout.format, static_cast<size_t>(k)));
}

void unpack_panel(const PanelLayout& layout, int64_t k, const std::byte* panel, int64_t rows,
                  std::byte* first_row) {
  const int64_t blocks = layout.blocks(k);
  const int64_t stride = static_cast<int64_t>(row_bytes(layout.format, static_cast<size_t>(k)));
  const int64_t cells_at = first_cell(layout);
  const int64_t high_bits = high_bits_cell(layout.format);
  const uint32_t flip = flip_of(layout.format);
  const std::byte* body = panel + layout.heads_bytes(k);
  for (int64_t block = 0; block < blocks; ++block, body += layout.body_bytes()) {
    std::byte* target = first_row + block * layout.block_bytes;
    const auto size = static_cast<size_t>(bytes_of_block(layout, k, block));
    for (int64_t row = 0; row < rows; ++row, target += stride) {
      if (layout.has_head()) {
        std::memcpy(target + layout.head_offset, panel + (block * kRows + row) * 2, 2);
      }
      for (int64_t cell = 0; cell < layout.cells; ++cell) {
        uint32_t bits;
        std::memcpy(&bits, body + (place_of(layout.format, cell) * kRows + row) * 4, 4);
        bits = cell == high_bits ? gather_high_bits(bits) : bits ^ flip;
        std::memcpy(target + cells_at + cell * 4, &bits, std::min<size_t>(4, size));
      }
    }
  }
}

}  // namespace wattle::inline tensor
