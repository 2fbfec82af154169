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
  Float y;
  if constexpr (V::kScalesByPowers) {  // beyond both ends so far out that scaling gives 0 and infinity
    y = x < low ? fill<V>(-1000.0f) : x;
    y = x > high ? fill<V>(1000.0f) : y;
  } else {
    y = V::clamp(x, low, high);
  }
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
  if constexpr (V::kScalesByPowers) return V::scale_by_power(p, n);
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
  const Float y = V::clamp(x, fill<V>(-5.65521049f), fill<V>(5.65521049f));
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

/// Pairs (i, half + i) turned by their angles.
template <class V>
void rotate_halves(float* head, const float* cosine, const float* sine, int64_t half) {
  using Float = typename V::Float;
  float* second = head + half;
  int64_t i = 0;
  for (; i + V::kLanes <= half; i += V::kLanes) {
    const Float x = V::load_float(head + i), y = V::load_float(second + i);
    const Float c = V::load_float(cosine + i), s = V::load_float(sine + i);
    V::store_float(head + i, x * c - y * s);
    V::store_float(second + i, y * c + x * s);
  }
  for (; i < half; ++i) {
    const float x = head[i], y = second[i];
    head[i] = x * cosine[i] - y * sine[i];
    second[i] = y * cosine[i] + x * sine[i];
  }
}

/// Pairs (2 i, 2 i + 1) turned by their angles; each pair has its cosine twice, and its sine with minus
/// before it and without.
template <class V>
void rotate_neighbours(float* head, const float* cosines, const float* sines, int64_t count) {
  int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) {
    const typename V::Float both = V::load_float(head + i);
    V::store_float(head + i,
                   both * V::load_float(cosines + i) + exchange_lanes<1>(both) * V::load_float(sines + i));
  }
  for (; i < count; i += 2) {
    const float x = head[i], y = head[i + 1];
    head[i] = x * cosines[i] + y * sines[i];
    head[i + 1] = y * cosines[i + 1] + x * sines[i + 1];
  }
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
