// Operations on rows of floats, written once over a vector type V; included inside the unnamed namespace of
// each instruction set's file before tiles.h. A row's tail is read into a padded vector, so every element
// goes through the same operations whatever the length of its row.

template <class V>
inline typename V::Float load_tail(const float* from, int64_t count, float padding) {
  alignas(64) float lanes[V::kLanes];
  for (int i = 0; i < V::kLanes; ++i) lanes[i] = i < count ? from[i] : padding;
  return V::load_float(lanes);
}

template <class V>
inline void store_tail(float* to, typename V::Float values, int64_t count) {
  alignas(64) float lanes[V::kLanes];
  V::store_float(lanes, values);
  for (int64_t i = 0; i < count; ++i) to[i] = lanes[i];
}

/// Vectors that hold kSumLanes lanes.
template <class V>
constexpr int kParts = kSumLanes / V::kLanes;

/// Calls f(vector, index, part) for each vector of the row, the last one padded; part: its place among
/// kSumLanes lanes.
template <class V, class F>
inline void each_vector(const float* x, int64_t count, float padding, F f) {
  int64_t i = 0;
  for (; i + kSumLanes <= count; i += kSumLanes) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts<V>; ++part)
      f(V::load_float(x + i + part * V::kLanes), i + part * V::kLanes, part);
  }
#pragma GCC unroll 4
  for (int part = 0; part < kParts<V>; ++part, i += V::kLanes) {
    if (i >= count) return;
    f(i + V::kLanes <= count ? V::load_float(x + i) : load_tail<V>(x + i, count - i, padding), i, part);
  }
}

template <class V>
inline void store_at(float* out, typename V::Float values, int64_t i, int64_t count) {
  if (i + V::kLanes <= count) {
    V::store_float(out + i, values);
  } else {
    store_tail<V>(out + i, values, count - i);
  }
}

template <class V>
inline typename V::Float fill(float value) {
  return value - typename V::Float{};
}

/// e^x by 2^n * p(r): n = round(x log2 e), |r| <= ln(2)/2, p of degree 6. Relative error under 2e-7; 0 below
/// -87.3, infinity above 88.7, NaN stays.
template <class V>
inline typename V::Float exponential(typename V::Float x) {
  using Float = typename V::Float;
  using Int = typename V::Int;
  const Float low = fill<V>(-87.33f), high = fill<V>(88.72f);
  Float y = x < low ? low : x;
  y = y > high ? high : y;
  // Adding 1.5 * 2^23 leaves round-to-nearest of the sum in the low bits.
  const Float magic = fill<V>(12582912.0f);
  const Float shifted = V::fma(y, fill<V>(1.44269504f), magic);
  const Float n = shifted - magic;
  Float r = V::fnma(n, fill<V>(0.693145752f), y);
  r = V::fnma(n, fill<V>(1.42860677e-6f), r);
  Float p = fill<V>(1.0f / 720);
  p = V::fma(p, r, fill<V>(1.0f / 120));
  p = V::fma(p, r, fill<V>(1.0f / 24));
  p = V::fma(p, r, fill<V>(1.0f / 6));
  p = V::fma(p, r, fill<V>(0.5f));
  p = V::fma(p, r, fill<V>(1.0f));
  p = V::fma(p, r, fill<V>(1.0f));
  // 2^n in two factors: n reaches 128, which has no exponent of its own.
  const Int exponent = (Int)shifted - (Int)magic;
  const Int half = exponent >> 1;
  const Float result = p * (Float)((half + 127) << 23) * (Float)((exponent - half + 127) << 23);
  const Float none = {};
  const Float top = x > high ? fill<V>(__builtin_inff()) : result;
  return x < low ? none : top;
}

/// tanh by 1 - 2 / (e^2x + 1): absolute error under 2e-7.
template <class V>
inline typename V::Float hyperbolic_tangent(typename V::Float x) {
  return 1.0f - 2.0f / (exponential<V>(x + x) + 1.0f);
}

/// Phi(x) - 1/2 of the normal distribution, which is erf(x / sqrt 2) / 2, as x P(x^2) / Q(x^2), both of
/// degree 5, fitted to the least largest error of erf on [0, 4]; constant beyond, where it is exactly 1/2.
/// Absolute error under 1.5e-7, which GELU multiplies by x; the exponential
/// of Abramowitz and Stegun 7.1.26 stays as near and takes twice the instructions.
template <class V>
inline typename V::Float normal_distribution(typename V::Float x) {
  using Float = typename V::Float;
  const Float most = fill<V>(5.65521049f), least = fill<V>(-5.65521049f);
  Float y = x < least ? least : x;
  y = y > most ? most : y;
  const Float t = y * y;
  Float p = fill<V>(2.18189846e-08f);
  p = V::fma(p, t, fill<V>(6.36487125e-06f));
  p = V::fma(p, t, fill<V>(0.000176937635f));
  p = V::fma(p, t, fill<V>(0.0047259011f));
  p = V::fma(p, t, fill<V>(0.0346922301f));
  p = V::fma(p, t, fill<V>(0.398942218f));
  Float q = fill<V>(1.17127627e-06f);
  q = V::fma(q, t, fill<V>(7.60224137e-05f));
  q = V::fma(q, t, fill<V>(0.00193055184f));
  q = V::fma(q, t, fill<V>(0.0291190985f));
  q = V::fma(q, t, fill<V>(0.253626108f));
  q = V::fma(q, t, fill<V>(1.0f));
  return y * p / q;
}

template <class V>
inline typename V::Float activate(ActivationFunction function, typename V::Float x) {
  using Float = typename V::Float;
  switch (function) {
    case ActivationFunction::kNone:
      return x;
    case ActivationFunction::kRelu: {
      const Float zero = {};
      return x < zero ? zero : x;
    }
    case ActivationFunction::kSilu:
      return x / (1.0f + exponential<V>(-x));
    case ActivationFunction::kGeluQuick:
      return x / (1.0f + exponential<V>(-1.702f * x));
    case ActivationFunction::kSigmoid:
      return 1.0f / (1.0f + exponential<V>(-x));
    case ActivationFunction::kTanh:
      return hyperbolic_tangent<V>(x);
    case ActivationFunction::kGelu:
      return V::fma(x, normal_distribution<V>(x), 0.5f * x);
    case ActivationFunction::kGeluTanh: {
      const Float inner = 0.79788456f * V::fma(x * x * x, fill<V>(0.044715f), x);
      return 0.5f * x * (1.0f + hyperbolic_tangent<V>(inner));
    }
  }
  return x;
}

template <class V>
void apply(ActivationFunction function, float* values, int64_t count) {
  each_vector<V>(values, count, 0.0f, [&](typename V::Float x, int64_t i, int) {
    store_at<V>(values, activate<V>(function, x), i, count);
  });
}

template <class V>
inline float add_lanes(typename V::Float (&parts)[kParts<V>]) {
  using Float = typename V::Float;
  return reduce_lanes(parts, [](Float a, Float b) { return a + b; });
}

/// The sum of f(vector) over the vectors of a row, the last ones padded; in four sums of kSumLanes lanes,
/// since one would wait for every addition.
template <class V, class F>
inline float sum_of(const float* x, int64_t count, float padding, F f) {
  using Float = typename V::Float;
  Float sums[4][kParts<V>] = {};
  int64_t i = 0;
  for (; i + 4 * kSumLanes <= count; i += 4 * kSumLanes) {
#pragma GCC unroll 4
    for (int n = 0; n < 4; ++n) {
#pragma GCC unroll 4
      for (int part = 0; part < kParts<V>; ++part)
        sums[n][part] = f(V::load_float(x + i + n * kSumLanes + part * V::kLanes), sums[n][part]);
    }
  }
  for (; i + kSumLanes <= count; i += kSumLanes) {
#pragma GCC unroll 4
    for (int part = 0; part < kParts<V>; ++part)
      sums[0][part] = f(V::load_float(x + i + part * V::kLanes), sums[0][part]);
  }
#pragma GCC unroll 4
  for (int part = 0; part < kParts<V>; ++part, i += V::kLanes)
    if (i < count) sums[0][part] = f(load_tail<V>(x + i, count - i, padding), sums[0][part]);
#pragma GCC unroll 4
  for (int part = 0; part < kParts<V>; ++part)
    sums[0][part] = (sums[0][part] + sums[1][part]) + (sums[2][part] + sums[3][part]);
  return add_lanes<V>(sums[0]);
}

template <class V>
void softmax(float* values, int64_t count, float scale, const float* bias) {
  using Float = typename V::Float;
  const float lowest = -__builtin_inff();
  const Float factors = fill<V>(scale);
  Float most = fill<V>(lowest);
  each_vector<V>(values, count, lowest, [&](Float x, int64_t i, int) {
    // A padded lane stays at minus infinity for any positive scale.
    Float y = x * factors;
    if (bias != nullptr) {
      const bool whole = i + V::kLanes <= count;
      y = V::fma(x, factors, whole ? V::load_float(bias + i) : load_tail<V>(bias + i, count - i, 0));
    }
    store_at<V>(values, y, i, count);
    most = y > most ? y : most;
  });
  const float top = reduce_lanes(most, [](Float a, Float b) { return b > a ? b : a; });
  Float total[kParts<V>] = {};
  each_vector<V>(values, count, lowest, [&](Float x, int64_t i, int part) {
    const Float e = exponential<V>(x - top);
    store_at<V>(values, e, i, count);
    total[part] = total[part] + e;
  });
  const float factor = 1.0f / add_lanes<V>(total);
  each_vector<V>(values, count, 0.0f,
                 [&](Float x, int64_t i, int) { store_at<V>(values, x * factor, i, count); });
}

template <class V>
void rms_norm(const float* x, const float* weight, float epsilon, bool add_one, float* out, int64_t count) {
  using Float = typename V::Float;
  const float mean = sum_of<V>(x, count, 0.0f, [](Float v, Float sum) { return V::fma(v, v, sum); }) /
                     static_cast<float>(count);
  const float factor = 1.0f / __builtin_sqrtf(mean + epsilon);
  const float offset = add_one ? 1.0f : 0.0f;
  each_vector<V>(x, count, 0.0f, [&](Float v, int64_t i, int) {
    const Float w =
        i + V::kLanes <= count ? V::load_float(weight + i) : load_tail<V>(weight + i, count - i, 0);
    store_at<V>(out, v * factor * (w + offset), i, count);
  });
}

template <class V>
void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* out,
                int64_t count) {
  using Float = typename V::Float;
  const auto n = static_cast<float>(count);
  const float mean = sum_of<V>(x, count, 0.0f, [](Float v, Float sum) { return sum + v; }) / n;
  const float squares = sum_of<V>(x, count, mean, [&](Float v, Float sum) {
    const Float centred = v - mean;
    return V::fma(centred, centred, sum);
  });
  const float factor = 1.0f / __builtin_sqrtf(squares / n + epsilon);
  each_vector<V>(x, count, 0.0f, [&](Float v, int64_t i, int) {
    const bool whole = i + V::kLanes <= count;
    const Float w = whole ? V::load_float(weight + i) : load_tail<V>(weight + i, count - i, 0);
    const Float centred = (v - mean) * factor;
    Float y = centred * w;
    if (bias != nullptr)
      y = V::fma(centred, w, whole ? V::load_float(bias + i) : load_tail<V>(bias + i, count - i, 0));
    store_at<V>(out, y, i, count);
  });
}

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

/// Codes and their sums of `count` blocks of finite values. Without kHalves all of a block's sum is in the
/// first half.
template <class V, bool kHalves>
inline void quantize_blocks(const float* x, int count, int8_t* q, int64_t q_stride, Section& section) {
  using Int = typename V::Int;
  const auto add = [](Int a, Int b) { return a + b; };
  for (int first = 0; first < count; first += V::kLanes) {
    Int partial[2][V::kLanes];
    const int here = count - first < V::kLanes ? count - first : V::kLanes;
    for (int block = 0; block < here; ++block, x += 32, q += q_stride) {
      const typename V::Float factor = V::broadcast(section.inverse + first + block);
      Int halves[2] = {};
#pragma GCC unroll 8
      for (int i = 0; i < 32; i += V::kLanes) {
        const Int code = V::round(V::load_float(x + i) * factor);
        V::store_int8(q + i, code);
        halves[kHalves ? i / 16 : 0] += code;
      }
      partial[0][block] = halves[0];
      if constexpr (kHalves) partial[1][block] = halves[1];
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
inline void quantize_special_blocks(const float* x, int count, int8_t* q, int64_t q_stride,
                                    Section& section) {
  for (int block = 0; block < count; ++block) {
    const float scale = section.scale[block];
    int32_t sums[2] = {};
    for (int i = 0; i < 32; ++i) {
      const float value = x[block * 32 + i];
      int code = 0;
      if (scale - scale == 0.0f) {
        code = static_cast<int>(__builtin_nearbyintf(value * section.inverse[block]));
      } else if (scale == scale && (value == __builtin_inff() || value == -__builtin_inff())) {
        code = value > 0 ? 127 : -127;
      }
      q[block * q_stride + i] = static_cast<int8_t>(code);
      sums[i / 16] += code;
    }
    for (int half = 0; half < 2; ++half) section.half_sum[half][block] = sums[half];
  }
}

/// Scales and the sums that are wanted to their places in the tile; rows of a tile lie next to each other.
template <class V>
inline void store_sums(const Section& section, int count, int64_t first, int row, int rows,
                       const ActivationStore& out) {
  const auto each = [&](auto* to, int64_t place, int64_t stride, const auto& value) {
    if (to == nullptr) return;
    to += place;
    for (int block = 0; block < count; ++block, to += stride) *to = value(block);
  };
  const int64_t at = first * rows + row;
  const auto& sums = section.half_sum;
  each(out.scale, at, rows, [&](int block) { return section.scale[block]; });
  each(out.minus_sum, at, rows, [&](int block) { return -(sums[0][block] + sums[1][block]); });
  each(out.scaled_sum, at, rows,
       [&](int block) { return section.scale[block] * static_cast<float>(sums[0][block] + sums[1][block]); });
  for (int half = 0; half < 2; ++half) {
    const int64_t place = (first * 2 + half) * rows + row;
    each(out.minus_half_sum, place, 2 * rows, [&](int block) { return -sums[half][block]; });
    each(out.scaled_half_sum, place, 2 * rows,
         [&](int block) { return section.scale[block] * static_cast<float>(sums[half][block]); });
  }
}

/// Blocks first .. first + count (at most kSection) of one row of a tile; row_scale null: one scale a block.
template <class V>
inline void quantize_section(const float* x, int count, const BlockScale* row_scale, int row, int rows,
                             int64_t first, const ActivationStore& out) {
  Section section;
  bool special;
  if (row_scale != nullptr) {
    for (int i = 0; i < count; ++i) {
      section.scale[i] = row_scale->scale, section.inverse[i] = row_scale->inverse;
    }
    special = row_scale->scale - row_scale->scale != 0.0f;
  } else {
    special = scales_of<V>(
        count, [x](int block) { return largest_bits<V>(x + block * 32, 32); }, section);
  }
  int8_t* q = out.q + (first * rows + row) * 32;
  if (special) {
    quantize_special_blocks(x, count, q, rows * 32, section);
  } else if (out.minus_half_sum != nullptr || out.scaled_half_sum != nullptr) {
    quantize_blocks<V, true>(x, count, q, rows * 32, section);
  } else {
    quantize_blocks<V, false>(x, count, q, rows * 32, section);
  }
  store_sums<V>(section, count, first, row, rows, out);
}

template <class V>
void quantize(const float* x, int64_t stride, int64_t k, int rows, bool one_scale_a_row,
              const ActivationStore& out) {
  const int64_t blocks = k / 32;
  for (int row = 0; row < rows; ++row, x += stride) {
    BlockScale row_scale{};
    if (one_scale_a_row) {
      row_scale = block_scale(static_cast<uint32_t>(V::max_int(largest_bits<V>(x, k))));
    }
    for (int64_t first = 0; first < blocks; first += kSection) {
      const int count = static_cast<int>(blocks - first < kSection ? blocks - first : kSection);
      quantize_section<V>(x + first * 32, count, one_scale_a_row ? &row_scale : nullptr, row, rows, first,
                          out);
    }
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
      quantize_special_blocks(x + row * stride + at, 1, q + at * rows + row * 32, 0, block);
      minus_row_sum[row] -= block.half_sum[0][0] + block.half_sum[1][0];
    }
  }
}

/// Stores outputs of one or two panels (kWhole: all 16 of each): what is the same for all rows is read once.
template <class V, bool kWhole, class Activate>
inline void store_panels(const StoreJob& job, const Activate& activate_values) {
  using Float = typename V::Float;
  for (int i = 0; i < job.width; i += V::kLanes) {
    const int left = job.width - i;
    const auto read = [&](const float* from) {
      return kWhole || left >= V::kLanes ? V::load_float(from) : load_tail<V>(from, left, 0.0f);
    };
    const Float bias = job.bias != nullptr ? read(job.bias + i) : Float{};
    const Float up_bias = job.up_bias != nullptr ? read(job.up_bias + i) : Float{};
    const float* acc = job.accumulators + i;
    const float* up = job.up == nullptr ? nullptr : job.up + i;
    const float* residual = job.residual == nullptr ? nullptr : job.residual + i;
    float* out = job.out + i;
    for (int row = 0; row < job.rows; ++row, acc += kTileColumns, out += job.out_stride) {
      Float y = V::load_float(acc);
      if (job.bias != nullptr) y = y + bias;
      y = activate_values(y);
      if (up != nullptr) {
        const Float factor = V::load_float(up);
        y = y * (job.up_bias != nullptr ? factor + up_bias : factor);
        up += kTileColumns;
      }
      if (residual != nullptr) {
        y = y + read(residual);
        residual += job.residual_stride;
      }
      if (kWhole || left >= V::kLanes) {
        V::store_float(out, y);
      } else {
        store_tail<V>(out, y, left);
      }
    }
  }
}

template <class V>
void store(const StoreJob& job) {
  using Float = typename V::Float;
  const auto activated = [&](Float x) { return activate<V>(job.function, x); };
  if (job.width % 16 != 0) {
    store_panels<V, false>(job, activated);
  } else if (job.function == ActivationFunction::kNone) {
    store_panels<V, true>(job, [](Float x) { return x; });
  } else {
    store_panels<V, true>(job, activated);
  }
}
