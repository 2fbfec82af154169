#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include <wattle/error.h>

#include "base/huge_pages.h"
#include "base/threads.h"
#include "kernels/packed.h"

namespace wattle::inline kernels {
namespace {

/// Rows of `bytes` go to the matrix from row `first_row` on, which begins a panel.
void pack_rows(PackedMatrix::Data& data, int64_t first_row, int64_t rows, const std::byte* bytes) {
  const auto stride = static_cast<int64_t>(row_bytes(data.layout.format, static_cast<size_t>(data.k)));
  const int64_t first_panel = first_row / PanelLayout::kRows;
  const int64_t panels = (rows + PanelLayout::kRows - 1) / PanelLayout::kRows;
  const int64_t panel_bytes = data.layout.panel_bytes(data.k);
  for_each_index(panels, true, [&](int64_t panel) {
    const int64_t row = panel * PanelLayout::kRows;
    pack_panel(data.layout, data.k, bytes + row * stride, std::min(PanelLayout::kRows, rows - row),
               data.panels.get() + (first_panel + panel) * panel_bytes);
  });
}

/// In parts, so that the mapping's pages and the panels are never both in memory as a whole.
void pack_and_release(PackedMatrix::Data& data, int64_t first_row, const Tensor& tensor,
                      const ModelFile& file) {
  constexpr size_t kPart = size_t{4} << 20;
  const size_t stride = row_bytes(data.layout.format, static_cast<size_t>(data.k));
  const auto panels = static_cast<int64_t>(std::max<size_t>(1, kPart / stride / PanelLayout::kRows));
  for (int64_t row = 0; row < tensor.rows(); row += panels * PanelLayout::kRows) {
    const int64_t rows = std::min(panels * PanelLayout::kRows, tensor.rows() - row);
    const auto part =
        tensor.bytes.subspan(static_cast<size_t>(row) * stride, static_cast<size_t>(rows) * stride);
    pack_rows(data, first_row + row, rows, part.data());
    file.release(part);
  }
}

std::unique_ptr<PackedMatrix::Data> sized_matrix(Format format, int64_t n, int64_t k) {
  if (n <= 0 || k <= 0) fail("a matrix of {} x {} has no weights to multiply with", n, k);
  auto data = std::make_unique<PackedMatrix::Data>();
  data->layout = panel_layout(format);
  data->n = n, data->k = k;
  row_bytes(format, static_cast<size_t>(k));  // Error when the block does not divide the row
  const int64_t panel_bytes = data->layout.panel_bytes(k);
  if (data->panel_count() > INT64_MAX / panel_bytes)
    fail("a matrix of {} x {} is larger than any memory", n, k);
  data->bytes = static_cast<size_t>(data->panel_count() * panel_bytes);
  return data;
}

std::unique_ptr<PackedMatrix::Data> new_matrix(Format format, int64_t n, int64_t k) {
  auto data = sized_matrix(format, n, k);
  data->panels = allocate_in_huge_pages(data->bytes);
  return data;
}

void check_bytes(std::string_view name, Format format, int64_t n, int64_t k, size_t bytes) {
  const size_t wanted = static_cast<size_t>(n) * row_bytes(format, static_cast<size_t>(k));
  if (bytes != wanted) {
    fail("{}: {} bytes, but {} x {} weights of {} take {}; the file is damaged", name, bytes, n, k,
         info(format).name, wanted);
  }
}

}  // namespace

void decode_cells(const PackedMatrix::Data& weights, Panel panel, int64_t begin, int64_t count, bool pairs,
                  UnpackedBlock* blocks, std::byte* out) {
  const PanelLayout& layout = weights.layout;
  if (layout.block_weights <= 2) {
    const std::byte* cells = panel.bodies + begin / layout.block_weights * 4 * PanelLayout::kRows;
    return active_kernels().widen(layout.format, cells, count, pairs, out);
  }
  // A body of 256 is unpacked whole; chunks of dense weights are 128.
  const int64_t step = layout.block_weights / 32;
  const int64_t first = begin / 32 / step * step;
  const int64_t blocks_needed = (begin + count - first * 32 + 31) / 32;
  const FormatKernels& format = active_kernels().of(layout.format);
  format.unpack(panel, first, (blocks_needed + step - 1) / step * step, blocks);
  format.dense(blocks, begin - first * 32, count, pairs, out);
}

namespace {

constexpr int64_t kPart = 128;  // weights of each row decoded at a time

/// Calls f(cells [count][16] of floats, begin, count) for all weights of a panel, part by part.
template <class F>
void each_part(const PackedMatrix::Data& data, int64_t panel, const F& f) {
  thread_local AlignedBuffer<UnpackedBlock> blocks;
  thread_local AlignedBuffer<float> cells;
  blocks.reserve(16);
  cells.reserve(kPart * PanelLayout::kRows);
  for (int64_t begin = 0; begin < data.k; begin += kPart) {
    const int64_t count = std::min(kPart, data.k - begin);
    decode_cells(data, data.panel(panel), begin, count, false, blocks.data(),
                 reinterpret_cast<std::byte*>(cells.data()));
    f(cells.data(), begin, count);
  }
}

/// The nearest integer of |x| < 2^22, halves to even: adding 1.5 * 2^23 leaves it in the low bits. Unlike
/// nearbyint it is no call where the instruction set has no rounding.
int32_t nearest(float x) {
  constexpr float kRound = 12582912.0f;
  return std::bit_cast<int32_t>(x + kRound) - std::bit_cast<int32_t>(kRound);
}

void round_panel(const PackedMatrix::Data& from, int64_t panel, PackedMatrix::Data& to) {
  constexpr int64_t kRows = PanelLayout::kRows;
  float* scales = to.row_scales.data() + panel * kRows;
  float unlike[kRows] =
      {};  // 0, or not a number: a row with a weight that is not finite gets no finite product
  each_part(from, panel, [&](const float* cells, int64_t, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t row = 0; row < kRows; ++row) {
        const float size = std::fabs(cells[i * kRows + row]);
        scales[row] = size > scales[row] ? size : scales[row];
        unlike[row] += size - size;
      }
    }
  });
  float inverse[kRows];
  for (int64_t row = 0; row < kRows; ++row) {
    scales[row] += unlike[row];
    inverse[row] = std::isfinite(127 / scales[row]) ? 127 / scales[row] : 0;
    scales[row] /= 127;
  }
  auto* out = reinterpret_cast<uint8_t*>(const_cast<std::byte*>(to.integer_panel(panel)));
  each_part(from, panel, [&](const float* cells, int64_t begin, int64_t count) {
    // Four weights of a row lie side by side.
    for (int64_t i = 0; i < count; i += 4) {
      uint32_t fours[kRows] = {};
      for (int64_t j = 0; j < 4; ++j) {
        for (int64_t row = 0; row < kRows; ++row) {
          const float code = inverse[row] == 0 ? 0 : cells[(i + j) * kRows + row] * inverse[row];
          fours[row] |= static_cast<uint32_t>(128 + nearest(code)) << (8 * j);
        }
      }
      std::memcpy(out + (begin + i) * kRows, fours, sizeof(fours));
    }
  });
}

}  // namespace

PackedMatrix PackedMatrix::by_rows() const {
  const Data& from = *data_;
  if (from.k % 32 != 0) {
    fail("rows of {} weights are no multiple of 32, which --activations w8a8 needs; leave it out", from.k);
  }
  PackedMatrix matrix;
  Data& to = *matrix.data_;
  to.layout = from.layout, to.n = from.n, to.k = from.k;
  to.row_scales.resize(static_cast<size_t>(from.panel_count() * PanelLayout::kRows));
  to.bytes = static_cast<size_t>(from.panel_count() * PanelLayout::kRows * from.k);
  to.panels = allocate_in_huge_pages(to.bytes);
  for_each_index(from.panel_count(), true, [&](int64_t panel) { round_panel(from, panel, to); });
  return matrix;
}

PackedMatrix::PackedMatrix() : data_(std::make_unique<Data>()) {}
PackedMatrix::PackedMatrix(PackedMatrix&&) noexcept = default;
PackedMatrix& PackedMatrix::operator=(PackedMatrix&&) noexcept = default;
PackedMatrix::~PackedMatrix() = default;

PackedMatrix PackedMatrix::pack(Format format, int64_t n, int64_t k, std::span<const std::byte> bytes) {
  PackedMatrix matrix;
  matrix.data_ = new_matrix(format, n, k);
  check_bytes("weights in memory", format, n, k, bytes.size());
  pack_rows(*matrix.data_, 0, n, bytes.data());
  return matrix;
}

PackedMatrix PackedMatrix::pack(const ModelFile& file, const Tensor& tensor) {
  const Tensor* one = &tensor;
  return pack_together(file, {&one, 1});
}

PackedMatrix PackedMatrix::pack_together(const ModelFile& file, std::span<const Tensor* const> tensors) {
  if (tensors.empty()) fail("{}: no tensors to pack together", file.path().string());
  const Tensor& first = *tensors.front();
  int64_t n = 0;
  bool whole_panels = true;
  for (const Tensor* tensor : tensors) {
    if (tensor->format != first.format || tensor->row_length() != first.row_length()) {
      fail("{}: tensors {} and {} have different formats or widths and cannot be one matrix",
           file.path().string(), first.name, tensor->name);
    }
    check_bytes(tensor->name, tensor->format, tensor->rows(), tensor->row_length(), tensor->bytes.size());
    whole_panels = whole_panels && n % PanelLayout::kRows == 0;
    n += tensor->rows();
  }
  PackedMatrix matrix;
  matrix.data_ = new_matrix(first.format, n, first.row_length());
  if (whole_panels) {
    int64_t row = 0;
    for (const Tensor* tensor : tensors) {
      pack_and_release(*matrix.data_, row, *tensor, file);
      row += tensor->rows();
    }
    return matrix;
  }
  std::vector<std::byte> rows;
  for (const Tensor* tensor : tensors) rows.insert(rows.end(), tensor->bytes.begin(), tensor->bytes.end());
  pack_rows(*matrix.data_, 0, n, rows.data());
  for (const Tensor* tensor : tensors) file.release(tensor->bytes);
  return matrix;
}

PackedMatrix PackedMatrix::map(Format format, int64_t n, int64_t k,
                               std::span<const std::span<const std::byte>> panels) {
  PackedMatrix matrix;
  matrix.data_ = sized_matrix(format, n, k);
  size_t bytes = 0;
  bool in_place = !panels.empty() && reinterpret_cast<uintptr_t>(panels.front().data()) % 64 == 0;
  for (const auto& run : panels) {
    in_place = in_place && run.data() == panels.front().data() + bytes;
    bytes += run.size();
  }
  if (bytes != matrix.data_->bytes) {
    fail("panels of {} bytes cannot be {} x {} weights of {}, which take {}; the file is damaged", bytes, n,
         k, info(format).name, matrix.data_->bytes);
  }
  if (in_place) {
    // Kernels only read panels; the pointer is to mutable bytes for the sake of packing.
    matrix.data_->panels = {std::shared_ptr<void>(), const_cast<std::byte*>(panels.front().data())};
    return matrix;
  }
  matrix.data_->panels = allocate_in_huge_pages(bytes);
  std::byte* to = matrix.data_->panels.get();
  for (const auto& run : panels) to = std::ranges::copy(run, to).out;
  return matrix;
}

int64_t PackedMatrix::n() const {
  return data_->n;
}
int64_t PackedMatrix::k() const {
  return data_->k;
}
Format PackedMatrix::format() const {
  return data_->layout.format;
}
bool PackedMatrix::is_by_rows() const {
  return data_->is_by_rows();
}
ReadAhead PackedMatrix::read_ahead(bool gated) const {
  const int64_t panels = data_->panel_count();
  if (panels == 0) return {};
  return {data_->panels.get(), static_cast<int64_t>(data_->bytes) / panels, gated ? panels / 2 : panels};
}
size_t PackedMatrix::bytes() const {
  return data_->bytes + data_->row_scales.size() * sizeof(float);
}

}  // namespace wattle::inline kernels
