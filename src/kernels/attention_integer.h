// Attention over keys and values in 8 and 4 bits (IntegerAttention), written once over a vector type V;
// included inside the unnamed namespace of each instruction set's file, after rows.h and quantize.h.

/// Codes of probabilities reach so far: kTopCode times the most that 2^-level leaves of a scale, 1.0615, is
/// below 127.
constexpr float kTopCode = 119;
/// Probabilities under 2^kLeast of the largest of a block count as that.
constexpr float kLeast = -100;

/// 2^x for x <= 0, 2^kLeast below that: relative error under 1.1e-4, exact for integers, NaN for NaN. What
/// becomes codes of 7 bits needs no more, and every coefficient is 4 % of a short head's attention.
template <class V>
inline __attribute__((always_inline)) typename V::Float power_of_two(typename V::Float x) {
  using Float = typename V::Float;
  using Word = typename V::Word;
  const Float least = fill<V>(kLeast), magic = fill<V>(kFloatStartValue);
  x = V::larger(least, x);
  const Float shifted = x + magic;
  const Float r = x - (shifted - magic);
  Float p = fill<V>(0.055008583f);
  p = V::fma(p, r, fill<V>(0.24221037f));
  p = V::fma(p, r, fill<V>(0.6932829f));
  p = V::fma(p, r, fill<V>(1.0f));
  return (Float)((Word)p + ((Word)shifted << 23));
}

/// Rows that the registers hold two vectors of sums each for.
template <class V>
constexpr int kRowsAtOnce = V::kRegisters == 16 ? 4 : 8;

template <class V>
void prepare_queries(const float* queries, const IntegerStep& step) {
  constexpr int kOfNibbles = index_of_start({false, 8}), kOfBytes = index_of_start({false, 128});
  const int64_t groups = step.groups, width = groups * 32;
  const bool has_zero_point = step.nibbles || !V::kSignedBytes;
  for (int64_t first = 0; first < step.count; first += kRowsAtOnce<V>) {
    const int64_t rows = step.count - first < kRowsAtOnce<V> ? step.count - first : kRowsAtOnce<V>;
    int32_t* starts = step.query_starts + first * groups;
    ActivationStore out{};
    out.q = step.query_codes + first * width, out.scale = step.query_scale + first * groups;
    if (has_zero_point) out.start[step.nibbles ? kOfNibbles : kOfBytes] = starts;
    quantize<V>(queries + first * width, width, width, static_cast<int>(rows), false, out);
    if (has_zero_point && V::kFloatDots) continue;  // they begin at kFloatStart
    for (int64_t i = 0; i < groups * rows; ++i) starts[i] = (has_zero_point ? starts[i] : 0) + kFloatStart;
  }
}

template <class V>
void weigh_values(const uint16_t* scales, int64_t groups, int64_t count, const ValueWeights& out) {
  using Float = typename V::Float;
  using Int = typename V::Int;
  using Word = typename V::Word;
  const auto magnitude = [](Float x) { return (Float)((Word)x & 0x7FFFFFFFu); };
  for (int64_t j = 0; j < kKeyBlock; j += V::kLanes) {
    Float top = fill<V>(0x1p-24f), special = {};
    for (int64_t g = 0; g < groups; ++g) {
      const Float scale = magnitude(V::halves(scales + g * kKeyBlock + j));
      top = scale > top ? scale : top;
      special += scale - scale;  // no number where a scale is none or infinite
    }
    // The bits of a float, taken as an integer, are its logarithm but for less than 0.0861.
    const Float level = V::to_float((Int)top - 0x3F800000) * 0x1p-23f;
    const Float scaled = power_of_two<V>(-(level + 24.0f)) * 0x1p24f;  // the exponent is 0 or less
    const Float inverse = scaled + special, factor = kTopCode * inverse;
    V::store_float(out.level + j, level);
    V::store_float(out.inverse + j, inverse);
    for (int64_t g = 0; g < groups; ++g) {
      const Float scale = V::halves(scales + g * kKeyBlock + j);
      V::store_float(out.factor + g * kKeyBlock + j, scale * factor);
    }
  }
  // What is not stored holds anything.
  for (int64_t j = count; j < kKeyBlock; ++j) {
    out.level[j] = out.inverse[j] = 0;
    for (int64_t g = 0; g < groups; ++g) out.factor[g * kKeyBlock + j] = 0;
  }
}

/// A vector of a cell and the one that goes with it: the high nibbles of the same bytes, or `further` on.
template <class V, bool kNibbles>
inline __attribute__((always_inline)) void load_pair(const std::byte* cell, int64_t further,
                                                     typename V::Word (&pair)[2]) {
  const typename V::Word first = V::load(cell);
  if constexpr (kNibbles) {
    pair[0] = first & 0x0F0F0F0Fu, pair[1] = (first >> 4) & 0x0F0F0F0Fu;
  } else {
    pair[0] = first, pair[1] = V::load(cell + further);
  }
}

/// Independent sums of each product: enough to hide the latency of few rows. They are integers, so that how
/// many changes nothing.
template <int R>
constexpr int kChains = R == 1   ? 4
                        : R <= 3 ? 2
                                 : 1;

/// scores [R][kKeyBlock] of the panels of a block, from level [kKeyBlock] on. codes [groups][R][32], starts
/// and scale [groups][R] are of the queries; bodies and heads as IntegerLayout has the codes and scales of
/// keys.
template <class V, bool kNibbles, int R>
__attribute__((noinline)) void score_panels(const int8_t* codes, const int32_t* starts, const float* scale,
                                            const std::byte* bodies, const uint16_t* heads, int64_t groups,
                                            const float* level, float* scores) {
  using Int = typename V::Int;
  using Float = typename V::Float;
  using Word = typename V::Word;
  constexpr int C = kChains<R>;
  constexpr int64_t kGroupCodes = (kNibbles ? 4 : 8) * 64, kPanel = IntegerLayout::kPanel;
  for (int64_t key = 0; key < kKeyBlock; key += 2 * V::kLanes) {
    // Of the second vector, from the first: in the same panel, or in the next one.
    const int64_t next_codes = V::kLanes == 16 ? groups * kGroupCodes : V::kLanes * 4;
    const int64_t next_scales = V::kLanes == 16 ? groups * kPanel : V::kLanes;
    const std::byte* body = bodies + key / kPanel * groups * kGroupCodes + key % kPanel * 4;
    const uint16_t* head = heads + key / kPanel * groups * kPanel + key % kPanel;
    Float sums[R][2];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
      sums[r][0] = V::load_float(level + key), sums[r][1] = V::load_float(level + key + V::kLanes);
    for (int64_t group = 0; group < groups; ++group, body += kGroupCodes, head += kPanel) {
      const int8_t* code = codes + group * R * 32;
      Int dot[C][R][2];
#pragma GCC unroll 8
      for (int r = 0; r < R; ++r) {
        dot[0][r][0] = dot[0][r][1] = V::broadcast(starts + group * R + r);
#pragma GCC unroll 4
        for (int c = 1; c < C; ++c) dot[c][r][0] = dot[c][r][1] = Int{};
      }
#pragma GCC unroll 8
      for (int g = 0; g < kGroups; ++g) {
        const int cell = kNibbles ? g % 4 : g, shift = g / 4 * 4, c = g % C;
        Word w[2] = {V::load(body + cell * 64), V::load(body + next_codes + cell * 64)};
        if constexpr (kNibbles) w[0] = (w[0] >> shift) & 0x0F0F0F0Fu, w[1] = (w[1] >> shift) & 0x0F0F0F0Fu;
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
          for (int p = 0; p < 2; ++p)
            dot[c][r][p] = V::template dot<!kNibbles>(dot[c][r][p], w[p], code + r * 32 + g * 4);
        }
      }
#pragma GCC unroll 2
      for (int p = 0; p < 2; ++p) {
        // The sums began at the bits of kFloatStartValue, so that they are floats: kFloatStartValue + dot.
        // kFloatStartValue times a half is exact, and with it the one rounding is that of dot * scale: an
        // operation less than to convert and multiply.
        const Float key_scale = V::halves(head + p * next_scales), offset = kFloatStartValue * key_scale;
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
          for (int c = 1; c < C; ++c) dot[0][r][p] += dot[c][r][p];
          const Float product = V::fma((Float)dot[0][r][p], key_scale, -offset);
          sums[r][p] = V::fma(product, V::broadcast(scale + group * R + r), sums[r][p]);
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      V::store_float(scores + r * kKeyBlock + key, sums[r][0]);
      V::store_float(scores + r * kKeyBlock + key + V::kLanes, sums[r][1]);
    }
  }
}

template <class V, bool kNibbles, int R>
void score_rows(const IntegerStep& step, const std::byte* keys, const float* level, int64_t row) {
  const IntegerLayout layout(step.groups, kNibbles);
  const int64_t first = row * step.groups;
  score_panels<V, kNibbles, R>(step.query_codes + first * 32, step.query_starts + first,
                               step.query_scale + first, keys,
                               reinterpret_cast<const uint16_t*>(keys + layout.code_bytes()), step.groups,
                               level, step.scores + row * kKeyBlock);
}

inline bool sees_all(const AttentionRow& row, int64_t first_key) {
  return row.bias == nullptr && row.from <= first_key && row.to >= first_key + kKeyBlock;
}

/// Adds the bias and hides what the row does not see.
inline void hide_keys(const IntegerStep& step, int64_t r) {
  const AttentionRow& row = step.rows[r];
  float* scores = step.scores + r * kKeyBlock;
  for (int64_t j = 0; j < kKeyBlock; ++j) {
    const int64_t key = step.first_key + j;
    if (key < row.from || key >= row.to) {
      scores[j] = -__builtin_inff();
    } else if (row.bias != nullptr) {
      scores[j] += row.bias[key] * kLog2E;
    }
  }
}

/// Of each row of a step.
struct StepMaxima {
  alignas(64) float maximum[kQueryRows];  ///< of the block
  alignas(64) float next[kQueryRows];     ///< of all that was seen
  alignas(64) float before[kQueryRows];   ///< what has been summed is to be multiplied with this
  alignas(64) float now[kQueryRows];      ///< and the block with that
};

template <class V>
inline void maxima_of_rows(const IntegerStep& step, StepMaxima& of) {
  using Float = typename V::Float;
  using Int = typename V::Int;
  const Float lowest = fill<V>(-__builtin_inff()), one = fill<V>(1), none = {};
  for (int64_t first = 0; first < step.count; first += V::kLanes) {
    Int tops[V::kLanes];
    alignas(64) float known[V::kLanes];
    for (int64_t r = 0; r < V::kLanes; ++r) {
      tops[r] = (Int)lowest, known[r] = -__builtin_inff();
      if (first + r >= step.count) continue;
      const AttentionRow& row = step.rows[first + r];
      if (!sees_all(row, step.first_key)) hide_keys(step, first + r);
      Float top = lowest;
#pragma GCC unroll 16
      for (int64_t j = 0; j < kKeyBlock; j += V::kLanes) {
        const Float score = V::load_float(step.scores + (first + r) * kKeyBlock + j);
        top = V::larger(score, top);
      }
      tops[r] = (Int)top, known[r] = row.maximum;
    }
    const auto larger = [](Int a, Int b) { return (Int)V::larger((Float)a, (Float)b); };
    const Float top = (Float)V::reduce_each(tops, larger), old = V::load_float(known);
    const Float next = V::larger(top, old);
    const Float before = power_of_two<V>(old - next), now = power_of_two<V>(top - next);
    V::store_float(of.maximum + first, top);
    V::store_float(of.next + first, next);
    V::store_float(of.before + first, old == next ? one : before);
    V::store_float(of.now + first, top == lowest ? none : top == next ? one : now);
  }
}

template <class V>
inline void rescale_row(float factor, float* values, int64_t count) {
  for (int64_t i = 0; i < count; i += V::kLanes)
    V::store_float(values + i, V::load_float(values + i) * factor);
}

/// What merges the bytes of a cell. Read from memory, because compilers would rather make them anew for every
/// row, by the port that shuffles.
template <class V>
struct CellMasks {
  typename V::Word one, two, three;  ///< bytes, the low ones

  CellMasks() {
    static constexpr int32_t kMasks[] = {0xFF, 0xFFFF, 0xFFFFFF};
    const int32_t* from = kMasks;
    __asm__("" : "+r"(from));
    one = (typename V::Word)V::broadcast(from), two = (typename V::Word)V::broadcast(from + 1);
    three = (typename V::Word)V::broadcast(from + 2);
  }
};

/// Four numbers as the bytes of a cell. Those of 0 .. 127 are added to powers of two that leave three of them
/// where they belong, so that no shift is needed for these; the second and third, rounded from their sums
/// with a half, may differ from the nearest integer where they are within 2^-9 of halfway.
template <class V>
inline __attribute__((always_inline)) typename V::Word positive_cell(const CellMasks<V>& masks,
                                                                     const typename V::Float (&power)[4],
                                                                     const typename V::Float (&factor)[4]) {
  using Word = typename V::Word;
  const Word first = (Word)V::fma(power[0], factor[0], fill<V>(0x1p23f));
  const Word second = (Word)V::fma(power[1], factor[1], fill<V>(0x1p15f + 0.5f));
  const Word third = (Word)V::fma(power[2], factor[2], fill<V>(0x1p7f + 0.5f));
  const Word fourth = (Word)V::fma(power[3], factor[3], fill<V>(0x1p23f));
  const Word low = V::merge_bits(masks.one, first, second);
  return V::merge_bits(masks.three, V::merge_bits(masks.two, low, third), fourth << 24);
}

/// The same of numbers of either sign, and their sum.
template <class V>
inline __attribute__((always_inline)) typename V::Word signed_cell(const CellMasks<V>& masks,
                                                                   const typename V::Float (&power)[4],
                                                                   const typename V::Float (&factor)[4],
                                                                   typename V::Word& sum) {
  using Word = typename V::Word;
  Word code[4];
  sum = Word{} - static_cast<uint32_t>(4 * int64_t{kFloatStart});
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    code[i] = (Word)V::fma(power[i], factor[i], fill<V>(kFloatStartValue));
    sum += code[i];
  }
  const Word low = V::merge_bits(masks.one, code[0], code[1] << 8);
  const Word high = V::merge_bits(masks.one, code[2], code[3] << 8);
  return V::merge_bits(masks.two, low, high << 16);
}

/// Codes of one row, of every group, from its scores; adds to its total.
template <class V, bool kSeesAll>
inline void codes_of_row(const IntegerStep& step, const CellMasks<V>& masks, int64_t row, float maximum,
                         float now) {
  using Float = typename V::Float;
  using Word = typename V::Word;
  constexpr int64_t kQuarter = IntegerLayout::kCells;
  const Float lowest = fill<V>(-__builtin_inff()), none = {};
  float* totals = step.totals + row * kTotals;
  const float* scores = step.scores + row * kKeyBlock;
#pragma GCC unroll 4
  for (int64_t lane = 0; lane < kQuarter; lane += V::kLanes) {
    Float power[4], total = {};
    typename V::Int sees[4];
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      const Float score = V::load_float(scores + i * kQuarter + lane);
      power[i] = power_of_two<V>(score - maximum);
      Float inverse = V::load_float(step.weights.inverse + i * kQuarter + lane);
      if constexpr (!kSeesAll) sees[i] = score != lowest, inverse = sees[i] ? inverse : none;
      total = i == 0 ? power[i] * inverse : V::fma(power[i], inverse, total);
    }
    V::store_float(totals + lane, V::fma(total, fill<V>(now), V::load_float(totals + lane)));
    for (int64_t g = 0; g < step.groups; ++g) {
      Float factor[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        factor[i] = V::load_float(step.weights.factor + g * kKeyBlock + i * kQuarter + lane);
        if constexpr (!kSeesAll) factor[i] = sees[i] ? factor[i] : none;
      }
      const int64_t at = g * step.count + row;
      Word cell, sum;
      if (step.nibbles) {
        cell = signed_cell<V>(masks, power, factor, sum);
        V::store(step.code_sums + at * kQuarter + lane, sum);
      } else {
        cell = positive_cell<V>(masks, power, factor);
      }
      V::store(step.codes + at * kKeyBlock + lane * 4, cell);
    }
  }
}

/// Nothing of a block is added to a row that sees none of it; what is no number makes the row none.
template <class V>
inline void clear_codes(const IntegerStep& step, int64_t row) {
  typename V::Float special = {};
  for (int64_t j = 0; j < kKeyBlock; j += V::kLanes) {
    const typename V::Float score = V::load_float(step.scores + row * kKeyBlock + j), none = {};
    special += score == score ? none : score;
  }
  float* totals = step.totals + row * kTotals;
  for (int64_t i = 0; i < kTotals; i += V::kLanes)
    V::store_float(totals + i, V::load_float(totals + i) + special);
  for (int64_t g = 0; g < step.groups; ++g) {
    const int64_t at = g * step.count + row;
    __builtin_memset(step.codes + at * kKeyBlock, 0, kKeyBlock);
    if (step.nibbles)
      __builtin_memset(step.code_sums + at * IntegerLayout::kCells, 0, IntegerLayout::kCells * 4);
  }
}

template <class V>
void soften_integers(const IntegerStep& step) {
  StepMaxima of;
  maxima_of_rows<V>(step, of);
  const CellMasks<V> masks;
  for (int64_t r = 0; r < step.count; ++r) {
    AttentionRow& row = step.rows[r];
    row.maximum = of.next[r];
    step.code_scale[r] = of.now[r] * (1 / kTopCode);
    if (of.now[r] == 0) {
      clear_codes<V>(step, r);
      continue;
    }
    if (of.before[r] != 1) {
      rescale_row<V>(of.before[r], step.totals + r * kTotals, kTotals);
      rescale_row<V>(of.before[r], step.sums + r * step.groups * 32, step.groups * 32);
    }
    if (sees_all(row, step.first_key)) {
      codes_of_row<V, true>(step, masks, r, of.maximum[r], of.now[r]);
    } else {
      codes_of_row<V, false>(step, masks, r, of.maximum[r], of.now[r]);
    }
  }
}

/// Minus the sums of the codes of R rows times the zero point.
template <class V, int R>
inline void starts_of(const int32_t* code_sums, int32_t* starts) {
  typename V::Int sums[V::kLanes];
  for (int first = 0; first < R; first += V::kLanes) {
    for (int r = 0; r < V::kLanes; ++r) {
      sums[r] = typename V::Int{};
      if (first + r >= R) continue;
      for (int64_t lane = 0; lane < IntegerLayout::kCells; lane += V::kLanes)
        sums[r] += (typename V::Int)V::load(code_sums + (first + r) * IntegerLayout::kCells + lane);
    }
    const auto add = [](typename V::Int a, typename V::Int b) { return a + b; };
    V::store(starts + first, (typename V::Word)(V::reduce_each(sums, add) * -8));
  }
}

/// R rows times the values of one group: a vector of the first 16 and the same of the others at once.
template <class V, bool kNibbles, int R>
__attribute__((noinline)) void add_group(const int8_t* codes, const int32_t* code_sums,
                                         const float* code_scale, const std::byte* values, float* sums,
                                         int64_t stride) {
  using Int = typename V::Int;
  using Word = typename V::Word;
  constexpr int64_t kCellBytes = (kNibbles ? 16 : 32) * IntegerLayout::kCellKeys;
  constexpr int C = kChains<R>;
  alignas(64) int32_t starts[R + V::kLanes];
  if constexpr (kNibbles) starts_of<V, R>(code_sums, starts);
  for (int64_t i = 0; i < 16; i += V::kLanes) {
    Int dot[C][R][2];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 4
      for (int c = 0; c < C; ++c) dot[c][r][0] = dot[c][r][1] = Int{};
      if constexpr (kNibbles) dot[0][r][0] = dot[0][r][1] = V::broadcast(starts + r);
    }
    const std::byte* cell = values + i * IntegerLayout::kCellKeys;
    for (int64_t begin = 0; begin < IntegerLayout::kCells; begin += 4, cell += 4 * kCellBytes) {
#pragma GCC unroll 4
      for (int64_t j = 0; j < 4; ++j) {
        Word pair[2];
        load_pair<V, kNibbles>(cell + j * kCellBytes, kCellBytes / 2, pair);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
          const int8_t* code = codes + r * kKeyBlock + (begin + j) * IntegerLayout::kCellKeys;
          const int c = static_cast<int>(j) % C;
#pragma GCC unroll 2
          for (int p = 0; p < 2; ++p) {
            if constexpr (kNibbles) {
              dot[c][r][p] = V::template dot<false>(dot[c][r][p], pair[p], code);
            } else {
              dot[c][r][p] = V::dot_positive(dot[c][r][p], pair[p], code);
            }
          }
        }
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 2
      for (int p = 0; p < 2; ++p) {
#pragma GCC unroll 4
        for (int c = 1; c < C; ++c) dot[0][r][p] += dot[c][r][p];
        float* at = sums + r * stride + p * 16 + i;
        V::store_float(at,
                       V::fma(V::to_float(dot[0][r][p]), V::broadcast(code_scale + r), V::load_float(at)));
      }
    }
  }
}

template <class V, bool kNibbles, int R>
void add_rows(const IntegerStep& step, const std::byte* values, int64_t row) {
  const int64_t width = step.groups * 32;
  for (int64_t g = 0; g < step.groups; ++g, values += kKeyBlock * (kNibbles ? 16 : 32)) {
    const int64_t at = g * step.count + row;
    const int32_t* code_sums = kNibbles ? step.code_sums + at * IntegerLayout::kCells : nullptr;
    add_group<V, kNibbles, R>(step.codes + at * kKeyBlock, code_sums, step.code_scale + row, values,
                              step.sums + row * width + g * 32, width);
  }
}

template <class V, bool kNibbles, int... R>
inline void score_tiles(const IntegerStep& step, const std::byte* keys, const float* level) {
  using Rows = void (*)(const IntegerStep&, const std::byte*, const float*, int64_t);
  constexpr int kMost = sizeof...(R);
  static constexpr Rows kScore[] = {score_rows<V, kNibbles, R>...};
  for (int64_t row = 0; row < step.count; row += kMost) {
    const int64_t rows = step.count - row < kMost ? step.count - row : kMost;
    kScore[rows - 1](step, keys, level, row);
  }
}

template <class V, bool kNibbles, int... R>
inline void add_tiles(const IntegerStep& step, const std::byte* values) {
  using Rows = void (*)(const IntegerStep&, const std::byte*, int64_t);
  constexpr int kMost = sizeof...(R);
  static constexpr Rows kAdd[] = {add_rows<V, kNibbles, R>...};
  for (int64_t row = 0; row < step.count; row += kMost) {
    const int64_t rows = step.count - row < kMost ? step.count - row : kMost;
    kAdd[rows - 1](step, values, row);
  }
}

template <class V, bool kNibbles>
void score_integers(const IntegerStep& step, const std::byte* keys, const float* level) {
  if constexpr (kRowsAtOnce<V> == 4) {
    score_tiles<V, kNibbles, 1, 2, 3, 4>(step, keys, level);
  } else {
    score_tiles<V, kNibbles, 1, 2, 3, 4, 5, 6, 7, 8>(step, keys, level);
  }
}

template <class V, bool kNibbles>
void add_integers(const IntegerStep& step, const std::byte* values) {
  if constexpr (kRowsAtOnce<V> == 4) {
    add_tiles<V, kNibbles, 1, 2, 3, 4>(step, values);
  } else {
    add_tiles<V, kNibbles, 1, 2, 3, 4, 5, 6, 7, 8>(step, values);
  }
}

template <class V>
constexpr IntegerAttention integer_attention() {
  return {prepare_queries<V>,
          weigh_values<V>,
          {score_integers<V, false>, score_integers<V, true>},
          soften_integers<V>,
          {add_integers<V, false>, add_integers<V, true>}};
}
