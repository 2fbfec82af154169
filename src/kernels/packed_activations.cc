#include <algorithm>
#include <bit>
#include <cstring>

#include <wattle/error.h>

#include "base/threads.h"
#include "kernels/packed.h"
#include "quant/half.h"

namespace wattle {
namespace {

/// Rows of a tile to [k][rows].
void transpose_f32(ConstMatrixView x, int64_t first, int64_t rows, float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = x.data + (first + r) * x.stride;
    for (int64_t i = 0; i < x.columns; ++i) out[i * rows + r] = from[i];
  }
}

/// Rows of a tile to pairs of bfloat16, [(k + 1) / 2][rows], the first of a pair in the low half.
void transpose_bf16(ConstMatrixView x, int64_t first, int64_t rows, float* out) {
  for (int64_t r = 0; r < rows; ++r) {
    const float* from = x.data + (first + r) * x.stride;
    for (int64_t i = 0; i < x.columns; i += 2) {
      const uint32_t low = bfloat16_from_float(from[i]);
      const uint32_t high = i + 1 < x.columns ? bfloat16_from_float(from[i + 1]) : 0u;
      out[i / 2 * rows + r] = std::bit_cast<float>(low | high << 16);
    }
  }
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
  if (data.sums & kSum) data.minus_sum.reserve(blocks);
  if (data.sums & kScaledSum) data.scaled_sum.reserve(blocks);
  if (data.sums & kHalfSum) data.minus_half_sum.reserve(blocks * 2);
  if (data.sums & kScaledHalfSum) data.scaled_half_sum.reserve(blocks * 2);
}

void pack_tile(PackedActivations::Data& data, ConstMatrixView x, int64_t tile) {
  const int64_t first = data.tile_begin(tile);
  const int64_t rows = data.tile_begin(tile + 1) - first;
  if (data.is_dense()) {
    float* out = data.dense.data() + first * data.dense_length();
    (data.kind == Activations::kBF16 ? transpose_bf16 : transpose_f32)(x, first, rows, out);
    return;
  }
  kernels().quantize(x.data + first * x.stride, x.stride, data.k, static_cast<int>(rows),
                     data.kind == Activations::kRow, data.store(first));
}

/// Values under which a team costs more than it gives (about a microsecond of one core).
constexpr int64_t kSmall = 2048;

}  // namespace

PackedActivations::PackedActivations() : data_(std::make_unique<Data>()) {}
PackedActivations::PackedActivations(PackedActivations&&) noexcept = default;
PackedActivations& PackedActivations::operator=(PackedActivations&&) noexcept = default;
PackedActivations::~PackedActivations() = default;

uint32_t sums_of(Format format) {
  return kernels().of(format).sums;
}

void PackedActivations::pack(ConstMatrixView x, Activations kind, uint32_t sums) {
  const bool is_8bit = kind == Activations::kBlock32 || kind == Activations::kRow;
  if (is_8bit && x.columns % 32 != 0) {
    fail("activations of {} columns cannot be cut into blocks of 32; use --activations bf16 or f32",
         x.columns);
  }
  Data& data = *data_;
  data.kind = kind, data.sums = sums, data.m = x.rows, data.k = x.columns;
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

}  // namespace wattle
