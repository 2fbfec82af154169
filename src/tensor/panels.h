#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "quant/format.h"

namespace wattle::inline tensor {

/// Weights as the kernels stream them: a panel is 16 output rows, and everything in it is cut into 32-bit
/// cells, so that lane j of a 64-byte vector holds the cell of row j. Panels are a permutation of the file's
/// bits (nothing is requantised), the same for every instruction set, and unpack_panel() undoes it exactly.
///
/// A panel is `heads`, then `bodies`. A body is one block of each row: its 32-bit cells in file order, each
/// cell as 16 lanes. Formats whose block is an odd number of 16-bit words (Q4_0, Q5_0, Q8_0, IQ4_NL, Q3_K,
/// Q6_K) keep their fp16 scale in the head, 16 rows side by side; the others have no heads. Dense formats are
/// blocks of one cell: one F32, or two F16 or BF16 weights (an odd last weight is followed by a zero). Two
/// details make unpacking cheap: Q8_0 is stored with the sign bit flipped (unsigned, zero point 128), and bit
/// 4t+i of the high bits of Q5_0 and Q5_1 is moved to bit 8i+t, next to the byte that it belongs to.
struct PanelLayout {
  static constexpr int64_t kRows = 16;

  Format format = Format::kF32;
  int64_t block_weights = 1;  ///< weights of a body's row: 32, 256, or those of a 32-bit cell
  int64_t block_bytes = 4;    ///< bytes of a row's block in the file
  int64_t cells = 1;          ///< 32-bit cells of a body's row
  int64_t head_offset = -1;   ///< where the fp16 lies that goes to the head; -1: no head

  bool has_head() const { return head_offset >= 0; }
  int64_t blocks(int64_t k) const { return (k + block_weights - 1) / block_weights; }
  /// Rounded up so that bodies begin on a 64-byte boundary.
  int64_t heads_bytes(int64_t k) const { return has_head() ? (blocks(k) * 2 * kRows + 63) / 64 * 64 : 0; }
  int64_t body_bytes() const { return cells * 4 * kRows; }
  int64_t panel_bytes(int64_t k) const { return heads_bytes(k) + blocks(k) * body_bytes(); }
};

/// The order of bytes within panels. Packed files carry it (file/packed_file.h): raise it with every change
/// of the order.
inline constexpr int kPanelVersion = 1;

/// Whether [rows, k] takes as many bytes in panels as in rows, so that a file can hold the one in place of
/// the other.
bool packs_in_place(const PanelLayout& layout, int64_t rows, int64_t k);

/// Throws Error for formats that are no weights (integers, F64).
PanelLayout panel_layout(Format format);

/// Packs `rows` (1..16) rows of k weights; row i begins at first_row + i * row_bytes(format, k), at any
/// alignment. The lanes of missing rows become zero weights. `panel` has layout.panel_bytes(k) bytes.
void pack_panel(const PanelLayout& layout, int64_t k, const std::byte* first_row, int64_t rows,
                std::byte* panel);

/// The inverse: writes the first `rows` rows of the panel as the file stores them.
void unpack_panel(const PanelLayout& layout, int64_t k, const std::byte* panel, int64_t rows,
                  std::byte* first_row);

}  // namespace wattle::inline tensor
