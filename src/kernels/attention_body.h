// The furniture of AttentionKernels in the compilers' vector extensions. An instruction set's file defines,
// in an unnamed namespace: kWidth (floats a vector), kRows and kVectors (the register tile), Vector, fma()
// and load_half(). No inline function of the standard library is used here: the linker might keep the copy
// that was compiled for a newer processor.

namespace wattle::inline kernels {
namespace {

using Integers = int __attribute__((vector_size(kWidth * 4)));

inline Vector broadcast(float value) {
  return value - Vector{};
}

inline Vector load(const float* from) {
  Vector value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
inline Vector load(const uint16_t* from) {
  return load_half(from);
}
inline void store(float* to, Vector value) {
  __builtin_memcpy(to, &value, sizeof value);
}

inline float scalar(float value) {
  return value;
}
inline float scalar(uint16_t value) {
  return float_from_half(value);
}

inline Integers lane_numbers() {
  static constexpr int kNumbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  Integers lanes;
  __builtin_memcpy(&lanes, kNumbers, sizeof lanes);
  return lanes;
}

#include "kernels/shuffle.h"

/// exp(x) for x <= 0 after Cephes: 2^n times a polynomial on [-ln 2 / 2, ln 2 / 2]. Zero below the smallest
/// normal number, NaN for NaN.
inline Vector exp_negative(Vector x) {
  constexpr float kLog2E = 1.44269504088896341f, kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  constexpr float kRound = 12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  const Vector lowest = broadcast(-87.33654f);
  const Integers vanishes = x < lowest;
  x = vanishes ? lowest : x;
  const Vector shifted = fma(x, broadcast(kLog2E), broadcast(kRound));
  const Vector n = shifted - broadcast(kRound);
  Vector r = fma(n, broadcast(-kLn2High), x);
  r = fma(n, broadcast(-kLn2Low), r);
  Vector p = broadcast(1.9875691500e-4f);
  p = fma(p, r, broadcast(1.3981999507e-3f));
  p = fma(p, r, broadcast(8.3334519073e-3f));
  p = fma(p, r, broadcast(4.1665795894e-2f));
  p = fma(p, r, broadcast(1.6666665459e-1f));
  p = fma(p, r, broadcast(5.0000001201e-1f));
  p = fma(p, r * r, r + broadcast(1.0f));
  const Vector power = (Vector)((Integers)p + ((Integers)shifted << 23));
  return vanishes ? Vector{} : power;
}

template <int Rows, int Vectors, typename T>
void product_tile(int64_t depth, const float* a, int64_t a_stride, const T* b, int64_t b_stride, float* c,
                  int64_t c_stride, bool add) {
  Vector sums[Rows][Vectors];
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) sums[r][v] = add ? load(c + r * c_stride + v * kWidth) : Vector{};
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector columns[Vectors];
    for (int v = 0; v < Vectors; ++v) columns[v] = load(b + k * b_stride + v * kWidth);
    for (int r = 0; r < Rows; ++r) {
      const Vector value = broadcast(a[r * a_stride + k]);
      for (int v = 0; v < Vectors; ++v) sums[r][v] = fma(value, columns[v], sums[r][v]);
    }
  }
  for (int r = 0; r < Rows; ++r) {
    for (int v = 0; v < Vectors; ++v) store(c + r * c_stride + v * kWidth, sums[r][v]);
  }
}

template <int Vectors, typename T>
void product_panel(int64_t rows, int64_t depth, const float* a, int64_t a_stride, const T* b,
                   int64_t b_stride, float* c, int64_t c_stride, bool add) {
  while (rows > 0) {
    const int64_t step = rows < kRows ? rows : kRows;
    switch (step) {
      case 1:
        product_tile<1, Vectors>(depth, a, a_stride, b, b_stride, c, c_stride, add);
        break;
      case 2:
        product_tile<2, Vectors>(depth, a, a_stride, b, b_stride, c, c_stride, add);
        break;
      case 3:
        product_tile<3, Vectors>(depth, a, a_stride, b, b_stride, c, c_stride, add);
        break;
      case 4:
        product_tile<4, Vectors>(depth, a, a_stride, b, b_stride, c, c_stride, add);
        break;
      case 5:
        product_tile<5, Vectors>(depth, a, a_stride, b, b_stride, c, c_stride, add);
        break;
      default:
        product_tile<6, Vectors>(depth, a, a_stride, b, b_stride, c, c_stride, add);
        break;
    }
    a += step * a_stride, c += step * c_stride, rows -= step;
  }
}

template <typename T>
void product(int64_t rows, int64_t columns, int64_t depth, const float* a, int64_t a_stride, const T* b,
             int64_t b_stride, float* c, int64_t c_stride, bool add) {
  int64_t column = 0;
  for (; column + kVectors * kWidth <= columns; column += kVectors * kWidth) {
    product_panel<kVectors>(rows, depth, a, a_stride, b + column, b_stride, c + column, c_stride, add);
  }
  for (; column + 2 * kWidth <= columns; column += 2 * kWidth) {
    product_panel<2>(rows, depth, a, a_stride, b + column, b_stride, c + column, c_stride, add);
  }
  for (; column + kWidth <= columns; column += kWidth) {
    product_panel<1>(rows, depth, a, a_stride, b + column, b_stride, c + column, c_stride, add);
  }
  // Heads of no whole vectors: explicit multiply-adds, because what the compiler makes of a scalar loop
  // depends on its length, and with it the last bit.
  for (; column < columns; ++column) {
    for (int64_t r = 0; r < rows; ++r) {
      Vector sum = broadcast(add ? c[r * c_stride + column] : 0);
      for (int64_t k = 0; k < depth; ++k) {
        sum = fma(broadcast(a[r * a_stride + k]), broadcast(scalar(b[k * b_stride + column])), sum);
      }
      c[r * c_stride + column] = sum[0];
    }
  }
}

void cap_scores(float* scores, int64_t count, int64_t columns, float cap) {
  for (int64_t r = 0; r < count; ++r, scores += kKeyBlock) {
    for (int64_t i = 0; i < columns; i += kWidth) {
      const Vector x = load(scores + i) / broadcast(cap);
      const Integers negative = x < Vector{};
      const Vector power = exp_negative((negative ? x : -x) * broadcast(2.0f));
      const Vector magnitude = (broadcast(1.0f) - power) / (broadcast(1.0f) + power);
      store(scores + i, (negative ? -magnitude : magnitude) * broadcast(cap));
    }
  }
}

/// Adds the bias, hides what the row does not see, and returns the largest score.
inline float hide_unseen(const AttentionRow& row, float* scores, int64_t first_key, int64_t columns) {
  const auto clamp = [&](int64_t key) { return key < 0 ? 0 : key > columns ? columns : key; };
  const int64_t from = clamp(row.from - first_key), to = clamp(row.to - first_key);
  if (row.bias != nullptr) {
    for (int64_t j = from; j < to; ++j) scores[j] += row.bias[first_key + j];
  }
  const Vector lowest = broadcast(-__builtin_inff());
  const Integers lanes = lane_numbers();
  Vector largest = lowest;
  for (int64_t i = 0; i < columns; i += kWidth) {
    Vector value = load(scores + i);
    if (i < from || i + kWidth > to) {
      const Integers key = lanes + static_cast<int>(i);
      value = key < static_cast<int>(from) ? lowest : value;
      value = key < static_cast<int>(to) ? value : lowest;
      store(scores + i, value);
    }
    largest = value > largest ? value : largest;
  }
  return reduce_lanes(largest, [](Vector a, Vector b) { return b > a ? b : a; });
}

void soften(AttentionRow* rows, int64_t count, float* scores, int64_t first_key, int64_t columns) {
  for (AttentionRow* row = rows; row < rows + count; ++row, scores += kKeyBlock) {
    const float largest = hide_unseen(*row, scores, first_key, columns);
    const float next = largest > row->maximum ? largest : row->maximum;
    row->factor = 1;
    if (next == -__builtin_inff()) {  // nothing here is visible
      for (int64_t i = 0; i < columns; i += kWidth) store(scores + i, Vector{});
      continue;
    }
    constexpr int kParts = kSumLanes / kWidth;
    Vector totals[kParts] = {};
    for (int64_t i = 0; i < columns; i += kSumLanes) {
#pragma GCC unroll 4
      for (int part = 0; part < kParts; ++part) {
        float* at = scores + i + part * kWidth;
        const Vector power = exp_negative(load(at) - broadcast(next));
        store(at, power);
        totals[part] += power;
      }
    }
    if (row->maximum == -__builtin_inff()) {
      row->factor = 0;
    } else if (row->maximum != next) {
      row->factor = exp_negative(broadcast(row->maximum - next))[0];
    }
    const float total = reduce_lanes(totals, [](Vector a, Vector b) { return a + b; });
    row->total = fma(broadcast(row->total), broadcast(row->factor), broadcast(total))[0];
    row->maximum = next;
  }
}

inline void scale(const float* from, float factor, int64_t n, float* to) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(to + i, load(from + i) * factor);
  for (; i < n; ++i) to[i] = from[i] * factor;
}

void gather(const AttentionRow* rows, int64_t count, float factor, int64_t n, float* queries) {
  for (int64_t r = 0; r < count; ++r) scale(rows[r].query, factor, n, queries + r * n);
}

void rescale(const AttentionRow* rows, int64_t count, int64_t n, float* sums) {
  for (int64_t r = 0; r < count; ++r) {
    if (rows[r].factor != 1) scale(sums + r * n, rows[r].factor, n, sums + r * n);
  }
}

void scatter(const AttentionRow* rows, int64_t count, int64_t n, const float* sums) {
  for (int64_t r = 0; r < count; ++r) scale(sums + r * n, 1 / rows[r].total, n, rows[r].out);
}

/// Lanes and rows change places in the bit kStep of their numbers, and in those above it.
template <int kStep>
inline __attribute__((always_inline)) void exchange_bits(Vector (&v)[kWidth]) {
  if constexpr (kStep < kWidth) {
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) {
      if ((i & kStep) != 0) continue;
      const Vector a = v[i], b = v[i + kStep];
      v[i] = merge_lanes<kStep, false, true>(a, b);
      v[i + kStep] = merge_lanes<kStep, true, false>(a, b);
    }
    exchange_bits<2 * kStep>(v);
  }
}

/// kWidth rows of kWidth values.
inline void transpose_square(const float* from, int64_t stride, int64_t rows, float* to) {
  Vector v[kWidth];
  for (int i = 0; i < kWidth; ++i) v[i] = i < rows ? load(from + i * stride) : Vector{};
  exchange_bits<1>(v);
  for (int i = 0; i < kWidth; ++i) store(to + i * kKeyBlock, v[i]);
}

void transpose(const float* from, int64_t stride, int64_t rows, int64_t columns, float* to) {
  for (int64_t row = 0; row < rows; row += kWidth) {
    int64_t column = 0;
    for (; column + kWidth <= columns; column += kWidth) {
      transpose_square(from + row * stride + column, stride, rows - row, to + column * kKeyBlock + row);
    }
    for (; column < columns; ++column) {
      for (int64_t i = row; i < rows && i < row + kWidth; ++i)
        to[column * kKeyBlock + i] = from[i * stride + column];
    }
  }
}

}  // namespace
}  // namespace wattle::inline kernels
