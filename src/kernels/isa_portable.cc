// Kernels in plain C++: every machine runs them, and they are the second opinion of the tests. The formats
// are those of recipes.h; tiles are loops over unpacked blocks, because unrolled ones take minutes to compile
// without vectors.
#include "kernels/kernel_table.h"

namespace wattle::inline kernels {
namespace {

constexpr int kLaneCount = 4;
#include "kernels/fused.h"
#include "kernels/lanes.h"
#include "kernels/lanes_portable.h"

#include "kernels/recipes.h"

#include "kernels/dense.h"
#include "kernels/quantize.h"
#include "kernels/rows.h"

#include "kernels/attention_integer.h"

int32_t dot_block(const UnpackedBlock& block, int lane, const int8_t* a, int first_group, int groups) {
  int32_t sum = 0;
  for (int g = first_group; g < first_group + groups; ++g) {
    for (int i = 0; i < 4; ++i) sum += block.q[g][lane * 4 + i] * a[g * 4 + i];
  }
  return sum;
}

/// One block of one row: 16 outputs, by the operations of multiply_block in tiles.h.
template <class V, Kind kKind, int kZero>
void multiply_block(const UnpackedBlock& w, const ActivationTile& x, int64_t block, int row, int rows,
                    float* acc) {
  using Float = typename V::Float;
  const int64_t at = block * rows + row;
  constexpr int kHalves = has_halves(kKind) ? 2 : 1, kOfHalf = kGroups / kHalves;
  int32_t dot[2][16], whole[16] = {};
  for (int half = 0; half < kHalves; ++half) {
    const int64_t sum_at = (block * 2 + half) * rows + row;
    int32_t start = 0;
    if constexpr (kZero != 0) start = kHalves == 2 ? x.half_start[sum_at] : x.start[at];
    for (int lane = 0; lane < 16; ++lane) {
      dot[half][lane] = start + dot_block(w, lane, x.q + at * 32, half * kOfHalf, kOfHalf);
      whole[lane] += has_two_factors(kKind) ? dot[half][lane] * w.factor[half][lane] : dot[half][lane];
    }
  }
  for (int lane = 0; lane < 16; lane += V::kLanes) {
    const auto number = [&](const int32_t* of) { return V::to_float((typename V::Int)V::load(of + lane)); };
    const Float scale = V::load_float(w.scale[0] + lane);
    Float product;
    if constexpr (kKind == Kind::kTwoScales) {
      product = V::fma(number(dot[1]), V::load_float(w.scale[1] + lane), number(dot[0]) * scale);
    } else {
      product = number(whole) * scale;
    }
    Float sum = V::fma(product, V::broadcast(x.scale + at), V::load_float(acc + lane));
    for (int half = 0; half < minima_of(kKind); ++half) {
      const float* scaled =
          minima_of(kKind) == 2 ? x.scaled_half_sum + (block * 2 + half) * rows + row : x.scaled_sum + at;
      sum = V::fnma(V::load_float(w.minimum[half] + lane), V::broadcast(scaled), sum);
    }
    V::store_float(acc + lane, sum);
  }
}

template <class V, Kind kKind, int kZero, int S>
void unpacked_tile(const UnpackedBlock* a, const UnpackedBlock* b, const ActivationTile& x, int64_t blocks,
                   float* acc, bool first) {
  if (first) __builtin_memset(acc, 0, S * kTileColumns * sizeof(float));
  for (int64_t block = 0; block < blocks; ++block) {
    for (int row = 0; row < S; ++row) {
      multiply_block<V, kKind, kZero>(a[block], x, block, row, S, acc + row * kTileColumns);
      multiply_block<V, kKind, kZero>(b[block], x, block, row, S, acc + row * kTileColumns + 16);
    }
  }
}

template <class V, class Recipe>
void unpack(Panel panel, int64_t first, int64_t count, UnpackedBlock* out) {
  for (int lane = 0; lane < 16; lane += V::kLanes) {
    for (int64_t block = 0; block < count; block += Recipe::kBlocks) {
      const int64_t body_index = (first + block) / Recipe::kBlocks;
      const std::byte* head = panel.heads + body_index * Recipe::kHead + lane * 2;
      const std::byte* body = panel.bodies + body_index * Recipe::kBody + lane * 4;
      typename Recipe::Scales scales;
      Recipe::prepare(head, body, scales);
      for (int j = 0; j < Recipe::kBlocks; ++j) {
        UnpackedBlock& to = out[block + j];
        for (int g = 0; g < kGroups; ++g) V::store(to.q[g] + lane * 4, Recipe::group(body, scales, j, g));
        if constexpr (Recipe::kKind != Kind::kTwoScales) {
          V::store_float(to.scale[0] + lane, Recipe::scale(scales, j));
        }
        for (int half = 0; half < 2; ++half) {
          if constexpr (Recipe::kKind == Kind::kTwoScales) {
            V::store_float(to.scale[half] + lane, Recipe::scale(scales, j, half));
          }
          if constexpr (has_two_factors(Recipe::kKind)) {
            V::store(to.factor[half] + lane, (typename V::Word)Recipe::factor(scales, j, half));
          }
          if constexpr (minima_of(Recipe::kKind) > 0) {
            V::store_float(to.minimum[half] + lane, Recipe::minimum(scales, j, half));
          }
        }
      }
    }
  }
}

template <class V, class Recipe, class Unpacking, int S>
void direct_tile(Panel a, Panel b, const ActivationTile& x, int64_t blocks, float* acc, Ahead) {
  UnpackedBlock left[8], right[8];
  for (int64_t block = 0; block < blocks; block += 8) {
    const int64_t count = blocks - block < 8 ? blocks - block : 8;
    unpack<V, Unpacking>(a, block, count, left);
    unpack<V, Unpacking>(b, block, count, right);
    unpacked_tile<V, Unpacking::kKind, Unpacking::kZero, S>(left, right, x.from_block(block, S), count, acc,
                                                            block == 0);
  }
}

template <class V, class Recipe>
void vector_tile(Panel panel, const ActivationTile& x, int64_t blocks, float* acc) {
  float both[kTileColumns];
  direct_tile<V, Recipe, Recipe, 1>(panel, panel, x, blocks, both, {});
  __builtin_memcpy(acc, both, 16 * sizeof(float));
}

template <class V, Cells kCells, int S>
void dense_tile(const void* a, const void* b, const void* x, int64_t count, float* acc, bool first,
                DenseAhead) {
  if (first) __builtin_memset(acc, 0, S * kTileColumns * sizeof(float));
  const float* values = static_cast<const float*>(x);
  for (int64_t i = 0; i < count; ++i, values += kCells == Cells::kFloat ? S : 2 * S) {
    for (int row = 0; row < S; ++row) {
      for (int column = 0; column < kTileColumns; column += V::kLanes) {
        const void* side = column < 16 ? a : b;
        const typename V::Word w = V::load(static_cast<const std::byte*>(side) + i * kCell + column % 16 * 4);
        float* at = acc + row * kTileColumns + column;
        const typename V::Float sum = V::load_float(at);
        if constexpr (kCells == Cells::kFloat) {
          V::store_float(at, V::fma((typename V::Float)w, V::broadcast(values + row), sum));
        } else {
          const auto pair = floats_of_pair<V, kCells>(w);
          const typename V::Float first_half = V::fma(pair.first, V::broadcast(values + row), sum);
          V::store_float(at, V::fma(pair.second, V::broadcast(values + S + row), first_half));
        }
      }
    }
  }
}

template <class V, int S>
void integer_tile(const std::byte* a, const std::byte* b, const float* a_scale, const float* b_scale,
                  const ActivationTile& x, const int32_t* minus_row_sum, int64_t blocks, float* acc,
                  DenseAhead) {
  for (int side = 0; side < 2; ++side) {
    const auto* panel = reinterpret_cast<const uint8_t*>(side == 0 ? a : b);
    const float* scales = side == 0 ? a_scale : b_scale;
    for (int row = 0; row < S; ++row) {
      float* out = acc + row * kTileColumns + side * 16;
      for (int lane = 0; lane < 16; ++lane) {
        int32_t dot = 128 * minus_row_sum[row];
        for (int64_t i = 0; i < blocks * 32; ++i) {
          dot += panel[i / 4 * kCell + lane * 4 + i % 4] * x.q[(i / 32 * S + row) * 32 + i % 32];
        }
        out[lane] = static_cast<float>(dot) * scales[lane] * x.scale[row];
      }
    }
  }
}

#include "kernels/tiles_table.h"

constexpr KernelTable kTable = kernel_table<LanesPortable>();

}  // namespace

const KernelTable& kernels_portable() {
  return kTable;
}

}  // namespace wattle::inline kernels
