#include "kernels/matmul.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include <wattle/error.h>

#include "base/threads.h"
#include "kernels/packed.h"

namespace wattle::inline kernels {
namespace {

constexpr int64_t kPanel = PanelLayout::kRows;
/// Rows up to which a tile unpacks the weights for itself rather than once for all tiles. Measured on a Zen
/// 4: 32-blocks unpack in so few instructions that reading unpacked ones costs more (IQ4_NL at 32 rows 71 %
/// of the peak against 60 %); K-quants gain from sharing beyond one tile (Q3_K at 12 rows 51 % against 47 %).
/// Where unpacking takes the ports of the dot products, 32-blocks gain as well, but for Q8_0, which has
/// nothing to unpack.
int64_t rows_unpacked_by_tiles(const PanelLayout& layout, const KernelTable& table) {
  if (layout.block_weights != 32 || !table.reads_panels) return kTileRows;
  return layout.format == Format::kQ8_0 || !vectors_share_ports() ? INT64_MAX : 2 * kTileRows;
}

/// Rows of a chunk of activations, so that they stay in a second-level cache beside the weights.
constexpr int64_t kChunkTiles = 24;
/// Blocks of 32 unpacked at a time: 2 panels of 16 blocks are 28 KB, of which most formats use 18.
constexpr int64_t kChunkBlocks = 16;
/// Dense weights decoded at a time: 2 panels of 128 are 16 KB.
constexpr int64_t kChunkDense = 128;
/// Multiply-adds under which one thread is faster than a team.
constexpr double kSmallProduct = 100e3;

/// A product as its threads see it. Columns come in pairs of panels; those of a gated product are (gate, up).
struct Product {
  const PackedActivations::Data& x;
  const PackedMatrix::Data& w;
  MatrixView out;
  const Epilogue& epilogue;
  const KernelTable& table;
  int64_t pairs;

  int64_t half() const { return w.panel_count() / 2; }
  int64_t left(int64_t pair) const { return epilogue.gated ? pair : 2 * pair; }
  int64_t right(int64_t pair) const {
    return epilogue.gated ? pair + half() : std::min(2 * pair + 1, w.panel_count() - 1);
  }
};

/// Scratch of one thread, kept from product to product.
struct Scratch {
  AlignedBuffer<float> sums;
  AlignedBuffer<UnpackedBlock> blocks;
  AlignedBuffer<uint32_t> dense;
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

/// The sums [rows][kTileColumns] of a tile and a pair of panels to their places in the result. Panels of a
/// product without gate lie side by side there and are stored at once (W8A8, 384 inputs, 96 rows, one core of
/// a Zen 5: 82 -> 86 % of the peak).
void store_pair(const Product& p, const float* sums, int64_t tile, int64_t pair) {
  const Epilogue& e = p.epilogue;
  const int64_t row = p.x.tile_begin(tile), column = p.left(pair) * kPanel;
  StoreJob job{};
  job.accumulators = sums;
  job.bias = e.bias == nullptr ? nullptr : e.bias + column;
  if (e.gated) {
    job.up = sums + kPanel;
    job.up_bias = e.bias == nullptr ? nullptr : e.bias + p.out.columns + column;
  }
  if (e.residual.data != nullptr) {
    job.residual = e.residual.data + row * e.residual.stride + column;
    job.residual_stride = e.residual.stride;
  }
  job.out = p.out.data + row * p.out.stride + column;
  job.out_stride = p.out.stride;
  job.rows = static_cast<int>(p.x.tile_rows(tile));
  job.width = static_cast<int>(std::min<int64_t>(e.gated ? kPanel : kTileColumns, p.out.columns - column));
  job.function = e.function;
  p.table.store(job);
}

/// One row of quantised activations: sixteen pairs of panels are read before their results are stored, gates
/// before ups, since a store between two panels or a change of stream leaves memory idle.
void multiply_row(const Product& p, int64_t tile, IndexRange pairs) {
  constexpr int64_t kRun = 16;
  alignas(64) float sums[kRun][kTileColumns];
  const FormatKernels& format = p.table.of(p.w.layout.format);
  const VectorTile vector = format.vector;
  const ActivationTile x = p.x.tile(p.x.tile_begin(tile), format);
  for (int64_t first = pairs.begin; first < pairs.end; first += kRun) {
    const int64_t count = std::min(kRun, pairs.end - first);
    const auto multiply_panel = [&](int64_t pair, int64_t panel, int64_t column) {
      vector(p.w.panel(panel), x, p.w.blocks32(), sums[pair - first] + column);
    };
    if (p.epilogue.gated) {
      for (int64_t pair = first; pair < first + count; ++pair) multiply_panel(pair, p.left(pair), 0);
      for (int64_t pair = first; pair < first + count; ++pair) multiply_panel(pair, p.right(pair), kPanel);
    } else {
      for (int64_t pair = first; pair < first + count; ++pair) {
        multiply_panel(pair, p.left(pair), 0);
        if (p.right(pair) != p.left(pair)) multiply_panel(pair, p.right(pair), kPanel);
      }
    }
    for (int64_t pair = first; pair < first + count; ++pair) store_pair(p, sums[pair - first], tile, pair);
  }
}

/// A few tiles of quantised activations: weights are unpacked in registers.
void multiply_directly(const Product& p, IndexRange tiles, IndexRange pairs) {
  if (p.x.m == 1) return multiply_row(p, tiles.begin, pairs);
  alignas(64) float sums[kTileRows * kTileColumns];
  const FormatKernels& format = p.table.of(p.w.layout.format);
  for (int64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const Panel a = p.w.panel(p.left(pair)), b = p.w.panel(p.right(pair));
    const int64_t next = std::min(pair + 1, pairs.end - 1);
    Ahead ahead{true, p.w.panel(p.left(next)).heads - a.heads, p.w.panel(p.right(next)).heads - b.heads};
    for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const int64_t first = p.x.tile_begin(tile), rows = p.x.tile_rows(tile);
      format.direct[rows](a, b, p.x.tile(first, format), p.w.blocks32(), sums, std::exchange(ahead, {}));
      store_pair(p, sums, tile, pair);
    }
  }
}

/// Weights that are read next, of two panels: asked for a share at a time between the tiles that use the
/// present ones, so that memory and arithmetic work at once (Q4_K, 17920 x 1536, 256 rows, one core of a
/// Zen 5: 58 -> 63, Q6_K, 1536 x 8960: 53 -> 59 % of the peak).
class NextWeights {
 public:
  /// `bytes` from `left` and from `right` on, in `shares`.
  NextWeights(const std::byte* left, const std::byte* right, int64_t bytes, int64_t shares)
      : left_(left), right_(right), share_(((bytes + 63) / 64 + shares - 1) / shares * 64) {}

  void ask() {
    for (const std::byte* end = left_ + share_; left_ < end; left_ += 64, right_ += 64) {
      __builtin_prefetch(left_, 0, 2), __builtin_prefetch(right_, 0, 2);
    }
  }

 private:
  const std::byte *left_, *right_;
  int64_t share_;
};

/// Many tiles of quantised activations: weights are unpacked once for all of them, a chunk of blocks at a
/// time.
void multiply_unpacked(const Product& p, IndexRange tiles, IndexRange pairs) {
  const FormatKernels& format = p.table.of(p.w.layout.format);
  Scratch& mine = scratch();
  mine.sums.reserve(static_cast<size_t>((tiles.end - tiles.begin) * kTileRows * kTileColumns));
  mine.blocks.reserve(2 * kChunkBlocks);
  UnpackedBlock* const left = mine.blocks.data();
  UnpackedBlock* const right = left + kChunkBlocks;
  const int64_t blocks = p.w.blocks32(), heads = p.w.layout.heads_bytes(p.w.k);
  const int64_t block_bytes = (p.w.layout.panel_bytes(p.w.k) - heads) / blocks;
  for (int64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const Panel a = p.w.panel(p.left(pair)), b = p.w.panel(p.right(pair));
    const int64_t after = std::min(pair + 1, pairs.end - 1);
    for (int64_t block = 0; block < blocks; block += kChunkBlocks) {
      const int64_t count = std::min(kChunkBlocks, blocks - block), next = block + count;
      format.unpack(a, block, count, left);
      format.unpack(b, block, count, right);
      const bool within = next < blocks;
      NextWeights ahead(within ? a.bodies + next * block_bytes : p.w.panel(p.left(after)).heads,
                        within ? b.bodies + next * block_bytes : p.w.panel(p.right(after)).heads,
                        kChunkBlocks * block_bytes + (within ? 0 : heads), tiles.end - tiles.begin);
      for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
        const int64_t first = p.x.tile_begin(tile), rows = p.x.tile_rows(tile);
        float* sums = mine.sums.data() + (tile - tiles.begin) * kTileRows * kTileColumns;
        format.unpacked[rows](left, right, p.x.tile(first, format).from_block(block, rows), count, sums,
                              block == 0);
        ahead.ask();
      }
    }
    for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
      store_pair(p, mine.sums.data() + (tile - tiles.begin) * kTileRows * kTileColumns, tile, pair);
    }
  }
}

/// Whether panels are already what the dense tile reads.
bool is_native(const Product& p) {
  const Activations kind = p.x.kind;
  switch (p.w.layout.format) {
    case Format::kF32:
      return kind == Activations::kF32;
    case Format::kF16:  // an odd last weight would meet a value that is not there
      return kind == Activations::kF32 && p.w.k % 2 == 0;
    case Format::kBF16:
      return kind == Activations::kBF16;
    default:
      return false;
  }
}

/// Dense weights that are read after the chunk [begin, begin + kChunkDense) of a pair: its next chunk, or the
/// first of the next pair. They come a few lines at a time while `tiles` tiles use the chunk, so that memory
/// and arithmetic work at once.
DenseAhead dense_ahead(const Product& p, int64_t pair, int64_t last_pair, int64_t begin, int64_t length,
                       int64_t tiles) {
  const bool within = begin + kChunkDense < length;
  const int64_t place = within ? begin + kChunkDense : 0;
  const int64_t from = within ? pair : std::min(pair + 1, last_pair);
  constexpr int64_t kAsks = kChunkDense / kAskEvery, kCellBytes = 4 * kPanel,
                    kLines = kChunkDense * kCellBytes / 64;
  return {p.w.panel(p.left(from)).bodies + place * kCellBytes,
          p.w.panel(p.right(from)).bodies + place * kCellBytes,
          (kLines + kAsks * tiles - 1) / (kAsks * tiles)};
}

/// Activations in single precision or bfloat16 against any format.
void multiply_dense(const Product& p, IndexRange tiles, IndexRange pairs) {
  const bool bf16 = p.x.kind == Activations::kBF16, native = is_native(p);
  const bool halves = native && p.w.layout.format == Format::kF16;
  const DenseTile* kernel = bf16 ? p.table.bf16 : halves ? p.table.f16 : p.table.f32;
  const int64_t cell_weights = bf16 ? 2 : 1;
  const int64_t cell_values = halves || (bf16 && !p.table.bfloat16_pairs) ? 2 : 1;
  const int64_t length = p.x.dense_length() / cell_values;
  Scratch& mine = scratch();
  mine.sums.reserve(static_cast<size_t>((tiles.end - tiles.begin) * kTileRows * kTileColumns));
  mine.dense.reserve(2 * kChunkDense * kPanel);
  mine.blocks.reserve(2 * kChunkBlocks);
  for (int64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const Panel panels[2] = {p.w.panel(p.left(pair)), p.w.panel(p.right(pair))};
    for (int64_t begin = 0; begin < length; begin += kChunkDense) {
      const int64_t count = std::min(kChunkDense, length - begin);
      const void* weights[2];
      for (int side = 0; side < 2; ++side) {
        weights[side] = panels[side].bodies + begin * 4 * kPanel;
        if (native) continue;
        uint32_t* cells = mine.dense.data() + side * kChunkDense * kPanel;
        const int64_t first = begin * cell_weights;
        decode_cells(p.w, panels[side], first, std::min(count * cell_weights, p.w.k - first), bf16,
                     mine.blocks.data(), reinterpret_cast<std::byte*>(cells));
        weights[side] = cells;
      }
      DenseAhead ahead;
      if (native) ahead = dense_ahead(p, pair, pairs.end - 1, begin, length, tiles.end - tiles.begin);
      const int64_t asked = count / kAskEvery * ahead.lines * 64;
      for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
        const int64_t first = p.x.tile_begin(tile), rows = p.x.tile_rows(tile);
        const float* x = p.x.dense.data() + (first * length + begin * rows) * cell_values;
        float* sums = mine.sums.data() + (tile - tiles.begin) * kTileRows * kTileColumns;
        kernel[rows](weights[0], weights[1], x, count, sums, begin == 0, ahead);
        ahead.left += asked, ahead.right += asked;
      }
    }
    for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
      store_pair(p, mine.sums.data() + (tile - tiles.begin) * kTileRows * kTileColumns, tile, pair);
    }
  }
}

/// Weights and activations with one scale a row. The next pair's panels are asked for while tiles use this
/// one's.
void multiply_by_rows(const Product& p, IndexRange tiles, IndexRange pairs) {
  alignas(64) float sums[kTileRows * kTileColumns];
  const int64_t count = tiles.end - tiles.begin, blocks = p.w.blocks32();
  for (int64_t pair = pairs.begin; pair < pairs.end; ++pair) {
    const int64_t left = p.left(pair), right = p.right(pair), next = std::min(pair + 1, pairs.end - 1);
    DenseAhead ahead{p.w.integer_panel(p.left(next)), p.w.integer_panel(p.right(next)),
                     (kGroups + count - 1) / count};
    const int64_t asked = blocks * ahead.lines * 64;
    for (int64_t tile = tiles.begin; tile < tiles.end; ++tile) {
      const int64_t first = p.x.tile_begin(tile), rows = p.x.tile_rows(tile);
      p.table.by_rows[rows](p.w.integer_panel(left), p.w.integer_panel(right),
                            p.w.row_scales.data() + left * kPanel, p.w.row_scales.data() + right * kPanel,
                            p.x.tile(first), p.x.minus_row_sum.data() + first, blocks, sums, ahead);
      ahead.left += asked, ahead.right += asked;
      store_pair(p, sums, tile, pair);
    }
  }
}

void multiply_part(const Product& p, IndexRange tiles, IndexRange pairs) {
  for (int64_t begin = tiles.begin; begin < tiles.end; begin += kChunkTiles) {
    const IndexRange chunk{begin, std::min(begin + kChunkTiles, tiles.end)};
    if (p.w.is_by_rows()) {
      multiply_by_rows(p, chunk, pairs);
    } else if (p.x.is_dense()) {
      multiply_dense(p, chunk, pairs);
    } else if (p.x.m <= rows_unpacked_by_tiles(p.w.layout, p.table)) {
      multiply_directly(p, chunk, pairs);
    } else {
      multiply_unpacked(p, chunk, pairs);
    }
  }
}

/// Threads in rows x columns of the result, so that the largest part is as small as it can be.
struct Grid {
  int64_t rows = 1, columns = 1;
};

Grid best_grid(int64_t tiles, int64_t pairs, int64_t team) {
  Grid best;
  int64_t smallest = INT64_MAX;
  for (int64_t rows = 1; rows <= std::min(team, tiles); ++rows) {
    const int64_t columns = std::min(team / rows, pairs);
    const int64_t largest = ((tiles + rows - 1) / rows) * ((pairs + columns - 1) / columns);
    if (largest < smallest) smallest = largest, best = {rows, columns};
  }
  return best;
}

/// Pieces of each part's columns, so that a thread that is through takes from one that is late, or slower by
/// its kind: long enough that beginning one costs nothing (a piece streams 512 KB of weights for one row, and
/// multiplies for 50 us or so for many).
int64_t pieces_of_part(const Product& p, const Grid& grid) {
  constexpr int64_t kBytes = 512 << 10, kMultiplyAdds = 32 << 20, kMostPieces = 16, kFewestPairs = 16;
  const int64_t parts = grid.rows * grid.columns;
  const int64_t work = p.x.m == 1 ? p.w.panel_count() * p.w.layout.panel_bytes(p.w.k) / kBytes
                                  : p.x.m * p.w.n * p.w.k / kMultiplyAdds;
  const int64_t most = std::min(kMostPieces, p.pairs / grid.columns / kFewestPairs);
  return std::max<int64_t>(1, std::min(work / parts, most));
}

double size_of(const Product& p) {
  return static_cast<double>(p.x.m) * static_cast<double>(p.w.n) * static_cast<double>(p.w.k);
}

/// Products with so few rows that threads divide their columns alone. Every part has its share of each of
/// them, so that they take one job of the team.
void multiply_together(std::span<const Product> products, int64_t team, const ReadAhead& next) {
  int64_t pieces = 1;
  for (const Product& p : products)
    pieces = std::max(pieces, pieces_of_part(p, {1, std::min(team, p.pairs)}));
  const int64_t parts = team * pieces;
  for_each_part(
      parts,
      [&](int64_t part) {
        for (const Product& p : products)
          multiply_part(p, {0, p.x.tiles()}, Part{part, parts}.range(p.pairs));
      },
      next);
}

void multiply_by_grid(const Product& p, const Grid& grid, const ReadAhead& next) {
  const int64_t parts = grid.rows * grid.columns;
  if (parts == 1) return multiply_part(p, {0, p.x.tiles()}, {0, p.pairs});
  const int64_t pieces = pieces_of_part(p, grid);
  for_each_part(
      parts * pieces,
      [&](int64_t i) {
        const int64_t part = i / pieces;
        const IndexRange columns = Part{part % grid.columns, grid.columns}.range(p.pairs);
        const IndexRange piece = Part{i % pieces, pieces}.range(columns.count());
        multiply_part(p, Part{part / grid.columns, grid.rows}.range(p.x.tiles()),
                      {columns.begin + piece.begin, columns.begin + piece.end});
      },
      next);
}

void multiply(std::span<const Product> products, const ReadAhead& next) {
  double size = 0;
  bool one_tile = true;
  for (const Product& p : products) size += size_of(p), one_tile = one_tile && p.x.tiles() == 1;
  const int64_t team = size < kSmallProduct || in_team() ? 1 : active_threads();
  if (team > 1 && one_tile && products.size() > 1) return multiply_together(products, team, next);
  for (const Product& p : products)
    multiply_by_grid(p, best_grid(p.x.tiles(), p.pairs, team), &p == &products.back() ? next : ReadAhead{});
}

void check(const PackedActivations& x, const PackedMatrix& weights, MatrixView out,
           const Epilogue& epilogue) {
  const int64_t columns = epilogue.gated ? weights.n() / 2 : weights.n();
  if (x.k() != weights.k()) {
    fail("a product of [{}, {}] with weights [{}, {}]: the inner sizes differ", x.m(), x.k(), weights.n(),
         weights.k());
  }
  if (out.rows != x.m() || out.columns != columns || (epilogue.gated && weights.n() % 2 != 0)) {
    fail("a product of [{}, {}] with weights [{}, {}] does not fit a result of [{}, {}]", x.m(), x.k(),
         weights.n(), weights.k(), out.rows, out.columns);
  }
  if (epilogue.residual.data != nullptr &&
      (epilogue.residual.rows != out.rows || epilogue.residual.columns != out.columns)) {
    fail("a residual of [{}, {}] does not fit a result of [{}, {}]", epilogue.residual.rows,
         epilogue.residual.columns, out.rows, out.columns);
  }
  if (weights.is_by_rows() != (x.kind() == Activations::kW8A8)) {
    fail("activations {} and weights {} by rows do not go together", name(x.kind()),
         weights.is_by_rows() ? "packed" : "not packed");
  }
  if (weights.is_by_rows()) return;
  const bool dense_weights = default_activations(weights.format()) != Activations::kBlock32;
  if (dense_weights && !x.data().is_dense()) {
    fail("weights of {} are multiplied with activations f32 or bf16, not {}", info(weights.format()).name,
         name(x.kind()));
  }
  if (!x.data().is_dense() && (sums_of(weights.format()) & ~x.sums()) != 0) {
    fail("activations were packed without the sums that weights of {} need", info(weights.format()).name);
  }
}

void count(const PackedActivations& x, const PackedMatrix& weights, const MatrixView& out, Work& work) {
  const double macs =
      static_cast<double>(x.m()) * static_cast<double>(weights.n()) * static_cast<double>(weights.k());
  switch (x.kind()) {
    case Activations::kBlock32:
    case Activations::kRow:
    case Activations::kW8A8:
      work.macs_int8 += macs;
      break;
    case Activations::kBF16:
      work.macs_bf16 += macs;
      break;
    case Activations::kF32:
      work.macs_fp32 += macs;
      break;
  }
  const double stored = x.kind() == Activations::kF32 ? 4 : x.kind() == Activations::kBF16 ? 2 : 1.125;
  work.activation_bytes += static_cast<double>(x.m()) *
                           (static_cast<double>(x.k()) * stored + static_cast<double>(out.columns) * 4);
}

/// Gate and up halves that do not begin on a panel: the plain product first, then the gate.
void multiply_ungated(const PackedActivations& x, const PackedMatrix& weights, MatrixView out,
                      const Epilogue& epilogue) {
  Matrix both(x.m(), weights.n());
  Epilogue plain;
  plain.bias = epilogue.bias;
  Work ignored;
  matmul(x, weights, both.view(), plain, ignored);
  for (int64_t row = 0; row < out.rows; ++row) {
    float* gate = both.row(row).data();
    active_kernels().rows.apply(epilogue.function, gate, out.columns);
    for (int64_t i = 0; i < out.columns; ++i) {
      const float value = gate[i] * gate[out.columns + i];
      const bool add = epilogue.residual.data != nullptr;
      out.row(row)[static_cast<size_t>(i)] =
          add ? value + epilogue.residual.row(row)[static_cast<size_t>(i)] : value;
    }
  }
}

}  // namespace

void matmul(std::span<const MatrixProduct> products, Work& work, const ReadAhead& next) {
  std::vector<Product> together;
  together.reserve(products.size());
  for (const MatrixProduct& product : products) {
    const auto& [x, weights, out, epilogue] = product;
    check(x, weights, out, epilogue);
    count(x, weights, out, work);
    if (x.m() == 0) continue;
    if (epilogue.gated && out.columns % kPanel != 0) {
      multiply_ungated(x, weights, out, epilogue);
      continue;
    }
    const PackedMatrix::Data& w = weights.data();
    const int64_t pairs = epilogue.gated ? w.panel_count() / 2 : (w.panel_count() + 1) / 2;
    together.push_back({x.data(), w, out, epilogue, active_kernels(), pairs});
  }
  multiply(together, next);
}

void matmul(const PackedActivations& x, const PackedMatrix& weights, MatrixView out, const Epilogue& epilogue,
            Work& work) {
  const MatrixProduct product{x, weights, out, epilogue};
  matmul({&product, 1}, work);
}

}  // namespace wattle::inline kernels
