// The tiles: rows of activations times panels, written once over a vector type V and a recipe. Included
// inside the unnamed namespace of each instruction set's file, after recipes.h.

/// Whether dot products are read as floats of kFloatStartValue more.
template <class V, class Recipe>
constexpr bool has_float_dots() {
  return V::kFloatDots && !has_two_factors(Recipe::kKind);
}

/// Where the dot products of a row and block begin; `start` is of its zero point.
template <class V, class Recipe>
inline typename V::Int start_of(const int32_t* start) {
  if constexpr (zero_point_of<V, Recipe>() != 0) return V::broadcast(start);
  const int32_t base = has_float_dots<V, Recipe>() ? kFloatStart : 0;
  return base - typename V::Int{};
}

template <class V, bool kFloatDots>
inline typename V::Float number_of(typename V::Int dot) {
  if constexpr (kFloatDots) return (typename V::Float)dot - kFloatStartValue;
  return V::to_float(dot);
}

/// Whether a tile's sums lie in memory: of 16 registers the dot products of 6 rows take 12 (fewer would wait
/// for each other), and where the halves of a block are summed apart, three sets of the tile's accumulators
/// would not fit 32.
template <class V, class Recipe, int R>
constexpr bool sums_in_memory() {
  return (V::kRegisters == 16 || has_halves(Recipe::kKind)) && R > 3;
}

/// The sums of R rows times P vectors of outputs: registers, or [R][kTileColumns] in memory.
template <class V, int R, int P, bool kInMemory>
struct TileSums {
  typename V::Float values[R][P];
  explicit TileSums(float*) {}
  typename V::Float get(int r, int p) const { return values[r][p]; }
  void set(int r, int p, typename V::Float value) { values[r][p] = value; }
};
template <class V, int R, int P>
struct TileSums<V, R, P, true> {
  float* memory;
  explicit TileSums(float* acc) : memory(acc) {}
  typename V::Float get(int r, int p) const {
    return V::load_float(memory + r * kTileColumns + p * V::kLanes);
  }
  void set(int r, int p, typename V::Float value) {
    V::store_float(memory + r * kTileColumns + p * V::kLanes, value);
  }
};

/// One block of 32 of R rows (of S in the tile) times P vectors of outputs, added to sums.
/// sums = fma(product, activation scale, sums), then the minima, halves in order. product = float(dot) *
/// scale (scaled_dot), where the halves have integer factors with the exact sum of both times theirs as dot;
/// where they have scales of their own, the second half is added with a fused multiply-add.
template <class V, class Recipe, int R, int S, int P, class Sums>
inline __attribute__((always_inline)) void multiply_block(const std::byte* const (&bodies)[P],
                                                          const typename Recipe::Scales (&scales)[P], int j,
                                                          const ActivationTile& x, int64_t block,
                                                          Sums& sums) {
  constexpr bool kHalves = has_halves(Recipe::kKind), kTwoScales = Recipe::kKind == Kind::kTwoScales;
  constexpr bool kFullBytes = Recipe::kZero >= 127, kFloats = has_float_dots<V, Recipe>();
  typename V::Int dot[R][P], whole[R][P];
  typename V::Float product[R][P];
  const int8_t* q = x.q + block * S * 32;
#pragma GCC unroll 8
  for (int g = 0; g < kGroups; ++g) {
    if (g == 0 || (kHalves && g == 4)) {
      const int32_t* start = kHalves ? x.half_start + (block * 2 + g / 4) * S : x.start + block * S;
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        dot[r][0] = start_of<V, Recipe>(start + r);
#pragma GCC unroll 4
        for (int p = 1; p < P; ++p) dot[r][p] = dot[r][0];
      }
    }
    typename V::Word weights[P];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) weights[p] = Recipe::group(bodies[p], scales[p], j, g);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) {
        dot[r][p] = V::template dot<kFullBytes>(dot[r][p], weights[p], q + r * 32 + g * 4);
      }
    }
    if (!kHalves || g % 4 != 3) continue;
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      if constexpr (kTwoScales) {
        const typename V::Float scale = Recipe::scale(scales[p], j, g / 4);
        const typename V::Float offset = offset_of<V, kFloats>(scale);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
          product[r][p] = g == 3 ? scaled_dot<V, kFloats>(dot[r][p], scale, offset)
                                 : V::fma(number_of<V, kFloats>(dot[r][p]), scale, product[r][p]);
        }
      } else if constexpr (kHalves) {
        const typename V::Int factor = Recipe::factor(scales[p], j, g / 4);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
          whole[r][p] = g == 3 ? dot[r][p] * factor : whole[r][p] + dot[r][p] * factor;
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) {
    typename V::Float scale = {};
    if constexpr (!kTwoScales) scale = Recipe::scale(scales[p], j);
    const typename V::Float offset = offset_of<V, kFloats>(scale);
#pragma GCC unroll 6
    for (int r = 0; r < R; ++r) {
      if constexpr (!kTwoScales)
        product[r][p] = scaled_dot<V, kFloats>(kHalves ? whole[r][p] : dot[r][p], scale, offset);
      sums.set(r, p, V::fma(product[r][p], V::broadcast(x.scale + block * S + r), sums.get(r, p)));
    }
  }
  constexpr int kMinima = minima_of(Recipe::kKind);
  if constexpr (kMinima > 0) {
    const float* scaled = kMinima == 2 ? x.scaled_half_sum + block * 2 * S : x.scaled_sum + block * S;
#pragma GCC unroll 2
    for (int half = 0; half < kMinima; ++half) {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) {
        const typename V::Float minimum = Recipe::minimum(scales[p], j, half);
#pragma GCC unroll 6
        for (int r = 0; r < R; ++r) {
          sums.set(r, p, V::fnma(minimum, V::broadcast(scaled + half * S + r), sums.get(r, p)));
        }
      }
    }
  }
}

/// Asks for kBytes at `from` and after, a cache line at a time. kLocality as in __builtin_prefetch: 3 for
/// lines that are read again, 0 for those read once.
template <int64_t kBytes, int kLocality = 3>
inline __attribute__((always_inline)) void prefetch(const std::byte* from) {
#pragma GCC unroll 64
  for (int64_t at = 0; at < kBytes; at += 64) __builtin_prefetch(from + at, 0, kLocality);
}

/// Several rows read two panels at once: streams too short for the processor's own prefetching, which has to
/// find them anew in every pair (Q6_K beyond the second-level cache, 6 rows: 30 % of the peak without, 49 %
/// with). Part j of a body's length, one body (or kNear of the small ones) further on, at the end of a panel
/// in the one that is read next; a part at a time, because more requests at once are lost.
template <class Recipe, int P>
inline __attribute__((always_inline)) void ask_for_part(const std::byte* const (&bodies)[P], int64_t block,
                                                        int j, int64_t blocks, const Ahead& ahead) {
  constexpr int64_t kNear = Recipe::kBlocks > 1 ? 1 : 4, kPart = Recipe::kBody / Recipe::kBlocks;
  const bool beyond = block + kNear * Recipe::kBlocks >= blocks;
  const int64_t length = blocks / Recipe::kBlocks * Recipe::kBody;
#pragma GCC unroll 4
  for (int p = 0; p < P; ++p) {
    const int64_t jump = beyond ? (p == 0 ? ahead.left : ahead.right) - length : 0;
    prefetch<kPart>(bodies[p] + kNear * Recipe::kBody + jump + j * kPart);
  }
}

/// R rows (of S in the tile) times P vectors of outputs over all blocks; sums go to acc [R][kTileColumns].
/// `ahead` as in kernel_table.h.
template <class V, class Recipe, int R, int S, int P>
inline __attribute__((always_inline)) void multiply(const std::byte* (&heads)[P],
                                                    const std::byte* (&bodies)[P], const ActivationTile& x,
                                                    int64_t blocks, float* acc, bool first,
                                                    const Ahead& ahead) {
  TileSums<V, R, P, sums_in_memory<V, Recipe, R>()> sums(acc);
  TileSums<V, R, P, true> result(acc);
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) sums.set(r, p, first ? typename V::Float{} : result.get(r, p));
  }
  // A single row reads the panels in one stream, heads and bodies and the next panel: asking for them in that
  // order, further ahead than the heads are long, leaves no part of the panel out. Bodies of K-quants are
  // asked for a block at a time: as many requests at once as a body has lines are lost (one row beyond the
  // caches, Zen 5: Q6_K 68 -> 87 % of a read loop of 48 GB/s, Q3_K 50 -> 101). Some processors deliver them
  // faster as read once (reads_once_faster); 32-blocks none does, and they would lose what the third-level
  // cache keeps of a small model.
  constexpr int64_t kAhead = 8192, kPart = (Recipe::kHead + Recipe::kBody) / Recipe::kBlocks;
  const std::byte* stream = bodies[0] + kAhead;
  const bool once = R == 1 && Recipe::kBlocks > 1 && reads_once_faster();
  for (int64_t block = 0; block < blocks; block += Recipe::kBlocks) {
    typename Recipe::Scales scales[P];
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) {
      Recipe::prepare(heads[p], bodies[p], scales[p]);
      // The scales of eight blocks stay in memory until they are used: held in registers they push the
      // accumulators out (Q4_K at 6 rows: 45 % of the peak instead of 66 %).
      if constexpr (Recipe::kBlocks > 1 && R > 1) __asm__ volatile("" : "+m"(scales[p]));
    }
#pragma GCC unroll 8
    for (int j = 0; j < Recipe::kBlocks; ++j) {
      if constexpr (R == 1) {
        if (once) {
          prefetch<kPart, 0>(stream);
        } else {
          prefetch<kPart>(stream);
        }
        stream += kPart;
      }
      if (R > 1 && ahead.is_cold) ask_for_part<Recipe, P>(bodies, block, j, blocks, ahead);
      // Loads stay in the order of the stream. GCC moves those of all eight parts to the front: memory serves
      // one row worse (Zen 5, long rows beyond the caches: Q4_K 83 -> 93, Q6_K 77 -> 91 % of the read loop),
      // and more rows have no registers left for them (6 rows of a core's peak: Q5_K 35 -> 54, Q6_K 41 -> 48
      // %).
      if constexpr (Recipe::kBlocks > 1) __asm__ volatile("" : : : "memory");
      multiply_block<V, Recipe, R, S, P>(bodies, scales, j, x, block + j, sums);
    }
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) heads[p] += Recipe::kHead, bodies[p] += Recipe::kBody;
  }
  if constexpr (sums_in_memory<V, Recipe, R>()) return;
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < P; ++p) result.set(r, p, sums.get(r, p));
  }
}

/// A tile of S rows x 2 panels, cut into what the registers of V hold.
template <class V, class Recipe, int S, int R0 = 0>
inline void tile(Panel a, Panel b, const ActivationTile& x, int64_t blocks, float* acc, bool first,
                 Ahead ahead = {}) {
  constexpr int kLeft = S - R0;
  constexpr int R = kLeft <= V::kTileRowsAtOnce             ? kLeft
                    : (kLeft + 1) / 2 <= V::kTileRowsAtOnce ? (kLeft + 1) / 2
                                                            : V::kTileRowsAtOnce;
  const ActivationTile rows = x.from_row(R0);
  float* out = acc + R0 * kTileColumns;
  if constexpr (V::kLanes == 16) {
    const std::byte* heads[2] = {a.heads, b.heads};
    const std::byte* bodies[2] = {a.bodies, b.bodies};
    multiply<V, Recipe, R, S, 2>(heads, bodies, rows, blocks, out, first, ahead);
  } else {
    for (int side = 0; side < 2; ++side) {
      const Panel panel = side == 0 ? a : b;
      for (int lane = 0; lane < 16; lane += 2 * V::kLanes) {
        const std::byte* heads[2] = {panel.heads + lane * 2, panel.heads + (lane + V::kLanes) * 2};
        const std::byte* bodies[2] = {panel.bodies + lane * 4, panel.bodies + (lane + V::kLanes) * 4};
        multiply<V, Recipe, R, S, 2>(heads, bodies, rows, blocks, out + side * 16 + lane, first, {});
      }
    }
  }
  if constexpr (R0 + R < S) tile<V, Recipe, S, R0 + R>(a, b, x, blocks, acc, first);
}

template <class V, Kind kKind, int kZero, int S>
void unpacked_tile(const UnpackedBlock* a, const UnpackedBlock* b, const ActivationTile& x, int64_t blocks,
                   float* acc, bool first) {
  const Panel left{nullptr, reinterpret_cast<const std::byte*>(a)};
  const Panel right{nullptr, reinterpret_cast<const std::byte*>(b)};
  tile<V, RecipeUnpacked<V, kKind, kZero>, S>(left, right, x, blocks, acc, first);
}

/// One row times one panel: all vectors of the panel at once, so that it is read in one stream.
template <class V, class Recipe>
void vector_tile(Panel panel, const ActivationTile& x, int64_t blocks, float* acc) {
  constexpr int P = 16 / V::kLanes;
  const std::byte* heads[P];
  const std::byte* bodies[P];
  for (int p = 0; p < P; ++p) {
    heads[p] = panel.heads + p * V::kLanes * 2;
    bodies[p] = panel.bodies + p * V::kLanes * 4;
  }
  multiply<V, Recipe, 1, 1, P>(heads, bodies, x, blocks, acc, true, {});
}

template <class V, class Recipe>
void unpack(Panel panel, int64_t first, int64_t count, UnpackedBlock* out) {
  for (int lane = 0; lane < 16; lane += V::kLanes) {
    const std::byte* head = panel.heads + first / Recipe::kBlocks * Recipe::kHead + lane * 2;
    const std::byte* body = panel.bodies + first / Recipe::kBlocks * Recipe::kBody + lane * 4;
    for (int64_t block = 0; block < count; block += Recipe::kBlocks) {
      typename Recipe::Scales scales;
      Recipe::prepare(head, body, scales);
#pragma GCC unroll 8
      for (int j = 0; j < Recipe::kBlocks; ++j) {
        UnpackedBlock& to = out[block + j];
#pragma GCC unroll 8
        for (int g = 0; g < kGroups; ++g) V::store(to.q[g] + lane * 4, Recipe::group(body, scales, j, g));
        if constexpr (Recipe::kKind == Kind::kTwoScales) {
          V::store_float(to.scale[0] + lane, Recipe::scale(scales, j, 0));
          V::store_float(to.scale[1] + lane, Recipe::scale(scales, j, 1));
        } else {
          V::store_float(to.scale[0] + lane, Recipe::scale(scales, j));
        }
        if constexpr (has_two_factors(Recipe::kKind)) {
          V::store(to.factor[0] + lane, (typename V::Word)Recipe::factor(scales, j, 0));
          V::store(to.factor[1] + lane, (typename V::Word)Recipe::factor(scales, j, 1));
        }
        if constexpr (minima_of(Recipe::kKind) > 0) {
          for (int half = 0; half < minima_of(Recipe::kKind); ++half) {
            V::store_float(to.minimum[half] + lane, Recipe::minimum(scales, j, half));
          }
        }
      }
      head += Recipe::kHead, body += Recipe::kBody;
    }
    // What is unpacked next, while the rows use this.
    if (lane == 0) prefetch<(Recipe::kBlocks > 1 ? Recipe::kBody : 8 * Recipe::kBody)>(body);
  }
}

/// Whether tiles of few rows unpack weights in registers. With 16 of them (AVX2) there is room for the small
/// blocks alone (at 6 rows by way of memory and so: Q4_0 55 and 61, Q8_0 51 and 58 % of the peak).
template <class V, class Recipe>
constexpr bool is_direct() {
  if (V::kDirect) return true;
  return V::kLanes == 8 && Recipe::kBlocks == 1;
}

/// Few rows: straight from the panels, or by way of eight unpacked blocks at a time on the stack.
template <class V, class Recipe, class Unpacking, int S>
void direct_tile(Panel a, Panel b, const ActivationTile& x, int64_t blocks, float* acc, Ahead ahead) {
  if constexpr (is_direct<V, Recipe>()) {
    tile<V, Recipe, S>(a, b, x, blocks, acc, true, ahead);
  } else {
    UnpackedBlock left[8], right[8];
    for (int64_t block = 0; block < blocks; block += 8) {
      const int64_t count = blocks - block < 8 ? blocks - block : 8;
      unpack<V, Unpacking>(a, block, count, left);
      unpack<V, Unpacking>(b, block, count, right);
      unpacked_tile<V, Unpacking::kKind, Unpacking::kZero, S>(left, right, x.from_block(block, S), count, acc,
                                                              block == 0);
    }
  }
}

/// Asks for the next lines of both streams, into the second-level cache.
inline void ask_for_lines(DenseAhead& ahead) {
  for (int64_t line = 0; line < ahead.lines; ++line, ahead.left += 64, ahead.right += 64) {
    __builtin_prefetch(ahead.left, 0, 2), __builtin_prefetch(ahead.right, 0, 2);
  }
}

/// Dense weights: lane j of cell i is weight i of row j, or a pair of them. One chain of fused multiply-adds
/// an output, in the order of k.
template <class V, Cells kCells, int S>
void dense_tile(const void* a, const void* b, const void* x, int64_t count, float* acc, bool first,
                DenseAhead ahead) {
  using Float = typename V::Float;
  constexpr bool kWiden = kCells == Cells::kHalves || (kCells == Cells::kBfloat16 && !V::kBfloat16Pairs);
  // Sums of S rows, a vector of weights for each P and one of activations fit the registers (AVX2, 6 rows of
  // F32: 65 -> 90 % of the peak); what must be converted first serves more sums at once instead.
  constexpr int P = V::kLanes == 16 || (V::kRegisters == 16 && S > 3 && kCells == Cells::kFloat) ? 2 : 4;
  for (int column = 0; column < 32; column += P * V::kLanes) {
    if (column > 0) ahead.lines = 0;
    const std::byte* weights[P];
    for (int p = 0; p < P; ++p) {
      const int lane = column + p * V::kLanes;
      weights[p] = static_cast<const std::byte*>(lane < 16 ? a : b) + lane % 16 * 4;
    }
    const float* values = static_cast<const float*>(x);
    Float sums[S][P];
#pragma GCC unroll 6
    for (int r = 0; r < S; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) {
        sums[r][p] = first ? Float{} : V::load_float(acc + r * kTileColumns + column + p * V::kLanes);
      }
    }
    for (int64_t begin = 0; begin < count; begin += kAskEvery) {
      const int64_t end = begin + kAskEvery < count ? begin + kAskEvery : count;
      ask_for_lines(ahead);
      for (int64_t i = begin; i < end; ++i, values += kWiden ? 2 * S : S) {
        typename V::Word w[P];
#pragma GCC unroll 4
        for (int p = 0; p < P; ++p) w[p] = V::load(weights[p]), weights[p] += kCell;
        PairOfFloats<V> pair[P];
        if constexpr (kWiden) {
#pragma GCC unroll 4
          for (int p = 0; p < P; ++p) pair[p] = floats_of_pair<V, kCells>(w[p]);
        }
#pragma GCC unroll 6
        for (int r = 0; r < S; ++r) {
#pragma GCC unroll 4
          for (int p = 0; p < P; ++p) {
            if constexpr (kWiden) {
              sums[r][p] = V::fma(pair[p].second, V::broadcast(values + S + r),
                                  V::fma(pair[p].first, V::broadcast(values + r), sums[r][p]));
            } else if constexpr (kCells == Cells::kBfloat16) {
              sums[r][p] = V::dot_bf16(sums[r][p], w[p], values + r);
            } else {
              sums[r][p] = V::fma((Float)w[p], V::broadcast(values + r), sums[r][p]);
            }
          }
        }
      }
    }
#pragma GCC unroll 6
    for (int r = 0; r < S; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < P; ++p) V::store_float(acc + r * kTileColumns + column + p * V::kLanes, sums[r][p]);
    }
  }
}

/// R rows (of S in the tile) times two vectors of outputs of weights with one scale a row: one exact integer
/// sum an output, so the order does not matter.
template <class V, int R, int S>
inline void multiply_integers(const std::byte* const (&weights)[2], const float* const (&scales)[2],
                              const ActivationTile& x, const int32_t* minus_row_sum, int64_t blocks,
                              float* acc, DenseAhead ahead) {
  typename V::Int dot[R][2];
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    dot[r][0] = V::kSignedBytes ? typename V::Int{} : V::broadcast(minus_row_sum + r) << 7;
    dot[r][1] = dot[r][0];
  }
  const int8_t* q = x.q;
  const std::byte *left = weights[0], *right = weights[1];
  for (int64_t block = 0; block < blocks; ++block, q += S * 32) {
    ask_for_lines(ahead);
#pragma GCC unroll 8
    for (int g = 0; g < kGroups; ++g, left += kCell, right += kCell) {
      const typename V::Word w[2] = {V::load(left), V::load(right)};
#pragma GCC unroll 6
      for (int r = 0; r < R; ++r) {
        dot[r][0] = V::template dot<true>(dot[r][0], w[0], q + r * 32 + g * 4);
        dot[r][1] = V::template dot<true>(dot[r][1], w[1], q + r * 32 + g * 4);
      }
    }
  }
#pragma GCC unroll 6
  for (int r = 0; r < R; ++r) {
    const typename V::Float scale = V::broadcast(x.scale + r);
    for (int p = 0; p < 2; ++p) {
      const typename V::Float product = V::to_float(dot[r][p]) * V::load_float(scales[p]) * scale;
      V::store_float(acc + r * kTileColumns + p * V::kLanes, product);
    }
  }
}

template <class V, int S, int R0 = 0>
void integer_tile(const std::byte* a, const std::byte* b, const float* a_scale, const float* b_scale,
                  const ActivationTile& x, const int32_t* minus_row_sum, int64_t blocks, float* acc,
                  DenseAhead ahead) {
  constexpr int kLeft = S - R0;
  constexpr int R = kLeft < V::kTileRowsAtOnce ? kLeft : V::kTileRowsAtOnce;
  const ActivationTile rows = x.from_row(R0);
  float* out = acc + R0 * kTileColumns;
  if constexpr (V::kLanes == 16) {
    multiply_integers<V, R, S>({a, b}, {a_scale, b_scale}, rows, minus_row_sum + R0, blocks, out, ahead);
  } else {
    for (int column = 0; column < kTileColumns; column += 2 * V::kLanes) {
      const std::byte* panel = (column < 16 ? a : b) + column % 16 * 4;
      const float* scale = (column < 16 ? a_scale : b_scale) + column % 16;
      multiply_integers<V, R, S>({panel, panel + V::kLanes * 4}, {scale, scale + V::kLanes}, rows,
                                 minus_row_sum + R0, blocks, out + column,
                                 column == 0 ? ahead : DenseAhead{});
    }
  }
  if constexpr (R0 + R < S) {
    integer_tile<V, S, R0 + R>(a, b, a_scale, b_scale, x, minus_row_sum, blocks, acc, {});
  }
}
