#include "layers/talking_heads.h"

#include <algorithm>
#include <vector>

#include "base/operation_times.h"
#include "kernels/attention_kernels.h"
#include "kernels/elementwise.h"

namespace wattle::inline layers {
namespace {

constexpr int64_t kTileRows = 16;  // queries whose scores of all heads lie side by side

struct Scratch {
  Matrix scores, mixed;       ///< [heads, queries * keys]
  AlignedBuffer<float> keys;  ///< of one head: [head_dim, kKeyBlock]
  std::vector<AttentionRow> rows;
};

/// Some queries of a sequence.
struct Tile {
  int64_t sequence, first, count;  ///< first: position in the sequence
};

std::vector<Tile> tiles_of(std::span<const int64_t> offsets, IndexRange rows) {
  std::vector<Tile> tiles;
  for (int64_t i = 0; i + 1 < static_cast<int64_t>(offsets.size()); ++i) {
    const int64_t begin = std::max(rows.begin, offsets[i]), end = std::min(rows.end, offsets[i + 1]);
    for (int64_t row = begin; row < end; row += kTileRows)
      tiles.push_back({i, row - offsets[i], std::min(kTileRows, end - row)});
  }
  return tiles;
}

/// scores [queries, stride] of one head, with its bias.
void score(const AttentionShape& shape, const QueryTile& tile, const ScoreBias* bias, int64_t count,
           float* scores, int64_t stride, Scratch& memory) {
  const AttentionKernels& kernel = attention_kernels();
  const int64_t n = shape.head_dim;
  const ConstMatrixView queries =
      tile.q.rows_from(tile.row + tile.first, count).columns_from(tile.head * n, n);
  const ConstMatrixView keys = tile.k.rows_from(tile.row, tile.length).columns_from(tile.head * n, n);
  memory.keys.reserve(static_cast<size_t>(n * kKeyBlock));
  for (int64_t key = 0; key < tile.length; key += kKeyBlock) {
    const int64_t columns = std::min(kKeyBlock, tile.length - key);
    kernel.transpose(keys.data + key * keys.stride, keys.stride, columns, n, memory.keys.data());
    kernel.product_f32(count, columns, n, queries.data, queries.stride, memory.keys.data(), kKeyBlock,
                       scores + key, stride, false);
  }
  memory.rows.assign(static_cast<size_t>(count), {});
  if (bias != nullptr) bias->set(tile, memory.rows);
  for (int64_t i = 0; i < count; ++i) {
    const float* added = memory.rows[static_cast<size_t>(i)].bias;
    float* row = scores + i * stride;
    for (int64_t j = 0; j < tile.length; ++j)
      row[j] = row[j] * shape.scale + (added != nullptr ? added[j] : 0.0f);
  }
}

}  // namespace

void attend_talking(const AttentionShape& shape, const TalkingHeads& talk, ConstMatrixView q,
                    ConstMatrixView k, ConstMatrixView v, std::span<const int64_t> offsets,
                    const ScoreBias* bias, MatrixView out, Work& work, IndexRange rows) {
  const TimedOperation timed(Operation::kAttention);
  const AttentionKernels& kernel = attention_kernels();
  const int64_t heads = shape.heads, n = shape.head_dim;
  const std::vector<Tile> tiles = tiles_of(offsets, rows);
  for_each_index(static_cast<int64_t>(tiles.size()), tiles.size() > 1, [&](int64_t index) {
    thread_local Scratch memory;
    const Tile& tile = tiles[static_cast<size_t>(index)];
    const int64_t begin = offsets[tile.sequence], length = offsets[tile.sequence + 1] - begin;
    memory.scores.resize(heads, tile.count * length);
    memory.mixed.resize(heads, tile.count * length);
    const auto mix = [&](const Matrix& by, const Matrix& from, Matrix& to) {
      kernel.product_f32(heads, from.columns(), heads, by.data(), heads, from.data(), from.columns(),
                         to.data(), to.columns(), false);
    };
    for (int64_t head = 0; head < heads; ++head)
      score(shape, {head, begin, length, tile.first, q, k}, bias, tile.count, memory.scores.row(head).data(),
            length, memory);
    mix(talk.scores, memory.scores, memory.mixed);
    for (int64_t row = 0; row < heads * tile.count; ++row)
      softmax_inplace({memory.mixed.data() + row * length, static_cast<size_t>(length)});
    mix(talk.probabilities, memory.mixed, memory.scores);
    for (int64_t head = 0; head < heads; ++head) {
      kernel.product_f32(tile.count, n, length, memory.scores.row(head).data(), length,
                         v.data + begin * v.stride + head * n, v.stride,
                         out.data + (begin + tile.first) * out.stride + head * n, out.stride, false);
    }
  });
  const double macs_a_score =
      static_cast<double>(2 * n + 2 * heads) + (bias != nullptr ? bias->macs_a_score() : 0);
  for (const Tile& tile : tiles) {
    const auto length = static_cast<double>(offsets[tile.sequence + 1] - offsets[tile.sequence]);
    work.macs_fp32 += static_cast<double>(tile.count * heads) * length * macs_a_score;
    work.activation_bytes += 4.0 * sizeof(float) * static_cast<double>(tile.count * heads * n);
  }
}

}  // namespace wattle::inline layers
