// Quantisation of activations, written once over a vector type V; included inside the unnamed namespace of
// each instruction set's file before tiles.h.

/// Signed 8 bits with scale = largest magnitude / 127, rounded to nearest even. A block (or row) that holds
/// NaN gets scale NaN, one that holds infinity gets scale infinity, so that the product is not finite either;
/// one whose largest magnitude is under 2^-120 becomes zero.
struct BlockScale {
  float scale, inverse;
};

inline BlockScale block_scale(uint32_t top) {
  if (top > 0x7F800000u) return {__builtin_nanf(""), 0.0f};
  if (top == 0x7F800000u) return {__builtin_inff(), 0.0f};
  float largest;
  __builtin_memcpy(&largest, &top, 4);
  if (largest < 0x1p-120f) return {0.0f, 0.0f};
  return {largest / 127.0f, 127.0f / largest};
}

/// The bits of the largest magnitude, lane by lane; as integers they are in the order of the magnitudes, with
/// infinity and NaN above.
template <class V>
inline typename V::Int largest_bits(const float* x, int64_t count) {
  using Int = typename V::Int;
  Int most = (Int)V::load_float(x) & 0x7FFFFFFF;
  for (int64_t i = V::kLanes; i < count; i += V::kLanes) {
    const Int bits = (Int)V::load_float(x + i) & 0x7FFFFFFF;
    most = bits > most ? bits : most;
  }
  return most;
}

/// Blocks that quantize() takes through one step after another: the steps' latencies overlap.
constexpr int kSection = 128;

/// Of each block of a section.
struct Section {
  alignas(64) float scale[kSection], inverse[kSection];
  alignas(64) int32_t half_sum[2][kSection];
};

/// Scales of `count` blocks or rows whose largest magnitudes lie in the lanes of top_of(i); whether one of
/// them is infinite or not a number.
template <class V, class TopOf>
inline bool scales_of(int count, const TopOf& top_of, Section& section) {
  using Int = typename V::Int;
  Int highest = {};
  for (int first = 0; first < count; first += V::kLanes) {
    Int tops[V::kLanes];
    const int here = count - first < V::kLanes ? count - first : V::kLanes;
    for (int i = 0; i < here; ++i) tops[i] = top_of(first + i);
    for (int i = here; i < V::kLanes; ++i) tops[i] = Int{};
    const Int top = V::reduce_each(tops, [](Int a, Int b) { return a > b ? a : b; });
    highest = top > highest ? top : highest;
    const auto largest = (typename V::Float)top;
    const typename V::Float none = {};
    const auto tiny = largest < 0x1p-120f;
    V::store_float(section.scale + first, tiny ? none : largest / 127.0f);
    V::store_float(section.inverse + first, tiny ? none : 127.0f / largest);
  }
  if (V::max_int(highest) < 0x7F800000) return false;
  for (int i = 0; i < count; ++i) {
    const BlockScale one = block_scale(static_cast<uint32_t>(V::max_int(top_of(i))));
    section.scale[i] = one.scale, section.inverse[i] = one.inverse;
  }
  return true;
}

/// Codes and their sums of `count` blocks of 32 finite values. Without kHalves all of a block's sum is in the
/// first half.
template <class V, bool kHalves>
inline void quantize_blocks(const float* const* blocks, int count, int8_t* q, Section& section) {
  using Int = typename V::Int;
  constexpr int kVectors = 32 / V::kLanes, kAtOnce = V::kLanes == 16 ? 2 : 1;
  const auto add = [](Int a, Int b) { return a + b; };
  for (int first = 0; first < count; first += V::kLanes) {
    Int partial[2][V::kLanes];
    const int here = count - first < V::kLanes ? count - first : V::kLanes;
    for (int block = 0; block < here; block += kAtOnce, q += 32 * kAtOnce) {
      Int codes[kAtOnce * kVectors];
#pragma GCC unroll 2
      for (int one = 0; one < kAtOnce; ++one) {
        if (kAtOnce > 1 && block + one == here) break;
        const float* x = blocks[first + block + one];
        const typename V::Float factor = V::broadcast(section.inverse + first + block + one);
        Int halves[2] = {};
#pragma GCC unroll 8
        for (int i = 0; i < kVectors; ++i) {
          const Int code = V::round(V::load_float(x + i * V::kLanes) * factor);
          codes[one * kVectors + i] = code;
          halves[kHalves ? 2 * i / kVectors : 0] += code;
        }
        partial[0][block + one] = halves[0];
        if constexpr (kHalves) partial[1][block + one] = halves[1];
      }
      if (kAtOnce > 1 && block + 1 == here) {
        for (int i = 0; i < kVectors; ++i) V::store_int8(q + i * V::kLanes, codes[i]);
      } else {
#pragma GCC unroll 2
        for (int i = 0; i < kAtOnce * kVectors; i += 4) V::store_int8_of_four(q + i * V::kLanes, codes + i);
      }
    }
    for (int block = here; block < V::kLanes; ++block) partial[0][block] = partial[1][block] = Int{};
    V::store(section.half_sum[0] + first, (typename V::Word)V::reduce_each(partial[0], add));
    if constexpr (kHalves) {
      V::store(section.half_sum[1] + first, (typename V::Word)V::reduce_each(partial[1], add));
    } else {
      V::store(section.half_sum[1] + first, typename V::Word{});
    }
  }
}

/// The same where some value is infinite or not a number: codes that make every product that reads them
/// neither finite nor zero with the block's scale.
inline void quantize_special_blocks(const float* const* blocks, int count, int8_t* q, Section& section) {
  for (int block = 0; block < count; ++block) {
    const float scale = section.scale[block];
    int32_t sums[2] = {};
    for (int i = 0; i < 32; ++i) {
      const float value = blocks[block][i];
      int code = 0;
      if (scale - scale == 0.0f) {
        code = static_cast<int>(__builtin_nearbyintf(value * section.inverse[block]));
      } else if (scale == scale && (value == __builtin_inff() || value == -__builtin_inff())) {
        code = value > 0 ? 127 : -127;
      }
      q[block * 32 + i] = static_cast<int8_t>(code);
      sums[i / 16] += code;
    }
    for (int half = 0; half < 2; ++half) section.half_sum[half][block] = sums[half];
  }
}

/// Scales and the sums that are wanted to their places in the tile, of its blocks from `first` on: all rows
/// of a block, then of the next.
template <class V>
inline void store_sums(const Section& section, int count, int64_t first, int rows,
                       const ActivationStore& out) {
  using Int = typename V::Int;
  using Float = typename V::Float;
  const auto sums_at = [&](int half, int i) { return (Int)V::load(section.half_sum[half] + i); };
  const auto each = [&](auto* to, const auto& values_at) {
    if (to == nullptr) return;
    for (int i = 0; i < count; i += V::kLanes) {
      const auto values = values_at(i);
      if (i + V::kLanes <= count) {
        __builtin_memcpy(to + first + i, &values, sizeof values);
      } else {
        __builtin_memcpy(to + first + i, &values, static_cast<size_t>(count - i) * sizeof *to);
      }
    }
  };
  // Of halves [blocks][2][rows].
  const auto each_half = [&](auto* to, const auto& value_of) {
    if (to == nullptr) return;
    int64_t row = first % rows;
    to += first / rows * 2 * rows + row;
    for (int i = 0; i < count; ++i, ++to) {
      to[0] = value_of(0, i), to[rows] = value_of(1, i);
      if (++row == rows) row = 0, to += rows;
    }
  };
  each(out.scale, [&](int i) { return V::load_float(section.scale + i); });
  each(out.scaled_sum, [&](int i) -> Float {
    return V::load_float(section.scale + i) * V::to_float(sums_at(0, i) + sums_at(1, i));
  });
  each_half(out.scaled_half_sum, [&](int half, int i) {
    return section.scale[i] * static_cast<float>(section.half_sum[half][i]);
  });
  for (int index = 0; index < kStartCount; ++index) {
    const int zero = kStarts[index].zero_point;
    const int32_t base = V::kFloatDots && !is_plain_start(kStarts[index]) ? kFloatStart : 0;
    if (kStarts[index].halves) {
      each_half(out.start[index], [&](int half, int i) { return base - zero * section.half_sum[half][i]; });
    } else {
      each(out.start[index], [&](int i) -> Int { return base - zero * (sums_at(0, i) + sums_at(1, i)); });
    }
  }
}

/// Whether the sums of a block's halves are wanted.
inline bool wants_halves(const ActivationStore& out) {
  bool wanted = out.scaled_half_sum != nullptr;
  for (int i = 0; i < kStartCount; ++i) wanted = wanted || (kStarts[i].halves && out.start[i] != nullptr);
  return wanted;
}

/// `count` blocks (at most kSection) of a tile from its block `first` on; row_scales null: one scale a block.
template <class V>
inline void quantize_section(const float* const* blocks, int count, const BlockScale* row_scales, int rows,
                             int64_t first, const ActivationStore& out) {
  Section section;
  bool special = false;
  if (row_scales != nullptr) {
    for (int i = 0; i < count; ++i) {
      const BlockScale& one = row_scales[(first + i) % rows];
      section.scale[i] = one.scale, section.inverse[i] = one.inverse;
      special = special || one.scale - one.scale != 0.0f;
    }
  } else {
    special = scales_of<V>(
        count, [blocks](int i) { return largest_bits<V>(blocks[i], 32); }, section);
  }
  int8_t* q = out.q + first * 32;
  if (special) {
    quantize_special_blocks(blocks, count, q, section);
  } else if (wants_halves(out)) {
    quantize_blocks<V, true>(blocks, count, q, section);
  } else {
    quantize_blocks<V, false>(blocks, count, q, section);
  }
  store_sums<V>(section, count, first, rows, out);
}

/// In the order in which a tile's blocks lie, so that all that is stored lies side by side.
template <class V>
void quantize(const float* x, int64_t stride, int64_t k, int rows, bool one_scale_a_row,
              const ActivationStore& out) {
  BlockScale row_scales[kTileRows];
  for (int row = 0; one_scale_a_row && row < rows; ++row) {
    row_scales[row] = block_scale(static_cast<uint32_t>(V::max_int(largest_bits<V>(x + row * stride, k))));
  }
  const int64_t total = k / 32 * rows;
  int row = 0;
  for (int64_t first = 0; first < total; first += kSection) {
    const float* blocks[kSection];
    const int count = static_cast<int>(total - first < kSection ? total - first : kSection);
    for (int i = 0; i < count; ++i) {
      blocks[i] = x + row * stride;
      if (++row == rows) row = 0, x += 32;
    }
    quantize_section<V>(blocks, count, one_scale_a_row ? row_scales : nullptr, rows, first, out);
  }
}

/// Codes [blocks][rows][32], scales [rows] and negated sums of the codes [rows] of a tile's rows.
template <class V>
void quantize_rows(const float* x, int64_t stride, int64_t k, int rows, int8_t* q, float* scale,
                   int32_t* minus_row_sum) {
  using Int = typename V::Int;
  Section section;
  const bool some_special = scales_of<V>(
      rows, [&](int row) { return largest_bits<V>(x + row * stride, k); }, section);
  const auto is_special = [&](int row) {
    return some_special && section.scale[row] - section.scale[row] != 0.0f;
  };
  for (int first = 0; first < rows; first += V::kLanes) {
    Int partial[V::kLanes];
    const int here = rows - first < V::kLanes ? rows - first : V::kLanes;
    for (int i = 0; i < here; ++i) {
      partial[i] = Int{};
      if (is_special(first + i)) continue;
      const float* values = x + (first + i) * stride;
      int8_t* codes = q + (first + i) * 32;
      const typename V::Float factor = V::broadcast(section.inverse + first + i);
      Int sum = {};
      for (int64_t at = 0; at < k; at += 32, codes += rows * 32) {
#pragma GCC unroll 8
        for (int lane = 0; lane < 32; lane += V::kLanes) {
          const Int code = V::round(V::load_float(values + at + lane) * factor);
          V::store_int8(codes + lane, code);
          sum += code;
        }
      }
      partial[i] = sum;
    }
    for (int i = here; i < V::kLanes; ++i) partial[i] = Int{};
    const Int sums = V::reduce_each(partial, [](Int a, Int b) { return a + b; });
    for (int i = 0; i < here; ++i)
      scale[first + i] = section.scale[first + i], minus_row_sum[first + i] = -sums[i];
  }
  for (int row = 0; some_special && row < rows; ++row) {
    if (!is_special(row)) continue;
    for (int64_t at = 0; at < k; at += 32) {
      Section block;
      block.scale[0] = section.scale[row], block.inverse[0] = section.inverse[row];
      const float* values = x + row * stride + at;
      quantize_special_blocks(&values, 1, q + at * rows + row * 32, block);
      minus_row_sum[row] -= block.half_sum[0][0] + block.half_sum[1][0];
    }
  }
}
