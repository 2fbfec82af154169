#include <algorithm>
#include <bit>
#include <cstring>

#include <wattle/error.h>

#include "base/threads.h"
#include "kernels/packed.h"
#include "quant/half.h"

namespace wattle::inline kernels {
namespace {

/// Words [rows][length] to [length][rows].
template <int kRows>
void interleave(const uint32_t* words, int64_t stride, int64_t length, uint32_t* out) {
  for (int64_t i = 0; i < length; ++i, out += kRows) {
    for (int r = 0; r < kRows; ++r) out[r] = words[r * stride + i];
  }
}

void interleave(const uint32_t* words, int64_t stride, int64_t length, int64_t rows, uint32_t* out) {
  static_assert(kTileRows == 6);
  constexpr void (*kEach[])(const uint32_t*, int64_t, int64_t, uint32_t*) = {
      nullptr, interleave<1>, interleave<2>, interleave<3>, interleave<4>, interleave<5>, interleave<6>};
  kEach[rows](words, stride, length, out);
}

/// Rows of a tile to [k][rows].
void transpose_f32(ConstMatrixView x, int64_t first, int64_t rows, float* out) {
  interleave(reinterpret_cast<const uint32_t*>(x.data + first * x.stride), x.stride, x.columns, rows,
             reinterpret_cast<uint32_t*>(out));
}

/// Rows of a tile to pairs of bfloat16, [(k + 1) / 2][rows], the first of a pair in the low half, or to as
/// many floats of that precision.
void transpose_bf16(ConstMatrixView x, int64_t first, int64_t rows, bool pairs, float* out) {
  thread_local AlignedBuffer<uint32_t> words;
  thread_local AlignedBuffer<uint16_t> codes;
  const int64_t even = (x.columns + 1) / 2 * 2, length = pairs ? even / 2 : even;
  words.reserve(static_cast<size_t>(rows * length));
  codes.reserve(static_cast<size_t>(even));
  codes.data()[even - 1] = 0;  // an odd last value has no second
  for (int64_t r = 0; r < rows; ++r) {
    active_kernels().bfloat16(x.data + (first + r) * x.stride, x.columns, codes.data());
    uint32_t* row = words.data() + r * length;
    if (pairs) {
      std::memcpy(row, codes.data(), static_cast<size_t>(even) * sizeof(uint16_t));
    } else {
      for (int64_t i = 0; i < even; ++i) row[i] = uint32_t{codes.data()[i]} << 16;
    }
  }
  interleave(words.data(), length, length, rows, reinterpret_cast<uint32_t*>(out));
}

void reserve(PackedActivations::Data& data) {
  const auto rows = static_cast<size_t>(data.m);
  if (data.is_dense()) {
    data.dense.reserve(rows * static_cast<size_t>(data.dense_length()));
    return;
  }
  const size_t blocks = rows * static_cast<size_t>(data.k / 32);
  data.q.reserve(blocks * 32);
  data.scale.reserve(blocks);
  if (data.kind == Activations::kW8A8) data.minus_row_sum.reserve(rows);
  if (data.sums & kScaledSum) data.scaled_sum.reserve(blocks);
  if (data.sums & kScaledHalfSum) data.scaled_half_sum.reserve(blocks * 2);
  for (int i = 0; i < kStartCount; ++i) {
    if (data.sums & kStartBit << i) data.start[i].reserve(kStarts[i].halves ? 2 * blocks : blocks);
  }
}

void pack_tile(PackedActivations::Data& data, ConstMatrixView x, int64_t tile) {
  const int64_t first = data.tile_begin(tile), rows = data.tile_rows(tile);
  if (data.is_dense()) {
    float* out = data.dense.data() + first * data.dense_length();
    if (data.kind == Activations::kF32) return transpose_f32(x, first, rows, out);
    return transpose_bf16(x, first, rows, data.bfloat16_pairs, out);
  }
  const float* values = x.data + first * x.stride;
  const ActivationStore out = data.store(first);
  if (data.kind == Activations::kW8A8) {
    active_kernels().quantize_rows(values, x.stride, data.k, static_cast<int>(rows), out.q, out.scale,
                                   data.minus_row_sum.data() + first);
  } else {
    active_kernels().quantize(values, x.stride, data.k, static_cast<int>(rows),
                              data.kind == Activations::kRow, out);
  }
}

/// What kAllSums asks for: the starts of every zero point, too.
constexpr uint32_t kEverySum = (kStartBit << kStartCount) - 1;

/// Values under which a team costs more than it gives (about a microsecond of one core).
constexpr int64_t kSmall = 2048;

}  // namespace

void PackedActivations::Data::cut() {
  const int64_t count = (m + kTileRows - 1) / kTileRows;
  begins.assign(1, 0);
  for (int64_t tile = 1; tile <= count; ++tile) begins.push_back(tile * m / count);
}

PackedActivations::PackedActivations() : data_(std::make_unique<Data>()) {}
PackedActivations::PackedActivations(PackedActivations&&) noexcept = default;
PackedActivations& PackedActivations::operator=(PackedActivations&&) noexcept = default;
PackedActivations::~PackedActivations() = default;

uint32_t sums_of(Format format) {
  return active_kernels().of(format).sums;
}

void PackedActivations::pack(ConstMatrixView x, Activations kind, uint32_t sums) {
  const bool is_8bit = kind != Activations::kF32 && kind != Activations::kBF16;
  if (is_8bit && x.columns % 32 != 0) {
    fail("activations of {} columns cannot be cut into blocks of 32; use --activations bf16 or f32",
         x.columns);
  }
  Data& data = *data_;
  if (sums == kAllSums) sums = kEverySum;
  data.kind = kind, data.sums = kind == Activations::kW8A8 ? 0 : sums, data.m = x.rows, data.k = x.columns;
  data.bfloat16_pairs = active_kernels().bfloat16_pairs;
  data.cut();
  if (x.rows == 0) return;
  reserve(data);
  for_each_index(data.tiles(), x.rows * x.columns > kSmall && data.tiles() > 1,
                 [&](int64_t tile) { pack_tile(data, x, tile); });
}

int64_t PackedActivations::m() const {
  return data_->m;
}
int64_t PackedActivations::k() const {
  return data_->k;
}
Activations PackedActivations::kind() const {
  return data_->kind;
}
uint32_t PackedActivations::sums() const {
  return data_->sums;
}

}  // namespace wattle::inline kernels
