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

/// Calls f(vector, index) for each vector of the row, the last one padded.
template <class V, class F>
inline void each_vector(const float* x, int64_t count, float padding, F f) {
  int64_t i = 0;
  for (; i + V::kLanes <= count; i += V::kLanes) f(V::load_float(x + i), i);
  if (i < count) f(load_tail<V>(x + i, count - i, padding), i);
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

/// erf by Abramowitz and Stegun 7.1.26: absolute error under 3e-7 in single precision.
template <class V>
inline typename V::Float error_function(typename V::Float x) {
  using Float = typename V::Float;
  using Int = typename V::Int;
  const Int sign = (Int)x & (Int)fill<V>(-0.0f);
  const Float size = (Float)((Int)x ^ sign);
  const Float t = 1.0f / V::fma(size, fill<V>(0.3275911f), fill<V>(1.0f));
  Float p = fill<V>(1.061405429f);
  p = V::fma(p, t, fill<V>(-1.453152027f));
  p = V::fma(p, t, fill<V>(1.421413741f));
  p = V::fma(p, t, fill<V>(-0.284496736f));
  p = V::fma(p, t, fill<V>(0.254829592f));
  const Float e = V::fnma(p * t, exponential<V>(-(x * x)), fill<V>(1.0f));
  return (Float)((Int)e ^ sign);
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
    case ActivationFunction::kTanh:
      return hyperbolic_tangent<V>(x);
    case ActivationFunction::kGelu:
      return 0.5f * x * (1.0f + error_function<V>(x * 0.70710678f));
    case ActivationFunction::kGeluTanh: {
      const Float inner = 0.79788456f * V::fma(x * x * x, fill<V>(0.044715f), x);
      return 0.5f * x * (1.0f + hyperbolic_tangent<V>(inner));
    }
  }
  return x;
}

template <class V>
void apply(ActivationFunction function, float* values, int64_t count) {
  each_vector<V>(values, count, 0.0f, [&](typename V::Float x, int64_t i) {
    store_at<V>(values, activate<V>(function, x), i, count);
  });
}

/// Sum and maximum over the lanes in a fixed order.
template <class V>
inline float add_lanes(typename V::Float values) {
  alignas(64) float lanes[V::kLanes];
  V::store_float(lanes, values);
  for (int width = V::kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

template <class V>
inline float max_lanes(typename V::Float values) {
  alignas(64) float lanes[V::kLanes];
  V::store_float(lanes, values);
  float most = lanes[0];
  for (int i = 1; i < V::kLanes; ++i) most = lanes[i] > most ? lanes[i] : most;
  return most;
}

template <class V>
void softmax(float* values, int64_t count, float scale, const float* bias) {
  using Float = typename V::Float;
  const float lowest = -__builtin_inff();
  Float most = fill<V>(lowest);
  each_vector<V>(values, count, lowest, [&](Float x, int64_t i) {
    // A padded lane stays at minus infinity for any positive scale.
    Float y = x * scale;
    if (bias != nullptr)
      y = y + (i + V::kLanes <= count ? V::load_float(bias + i) : load_tail<V>(bias + i, count - i, 0));
    store_at<V>(values, y, i, count);
    most = y > most ? y : most;
  });
  const float top = max_lanes<V>(most);
  Float total = {};
  each_vector<V>(values, count, lowest, [&](Float x, int64_t i) {
    const Float e = exponential<V>(x - top);
    store_at<V>(values, e, i, count);
    total = total + e;
  });
  const float factor = 1.0f / add_lanes<V>(total);
  each_vector<V>(values, count, 0.0f, [&](Float x, int64_t i) { store_at<V>(values, x * factor, i, count); });
}

template <class V>
void rms_norm(const float* x, const float* weight, float epsilon, bool add_one, float* out, int64_t count) {
  using Float = typename V::Float;
  Float squares = {};
  each_vector<V>(x, count, 0.0f, [&](Float v, int64_t) { squares = V::fma(v, v, squares); });
  const float mean = add_lanes<V>(squares) / static_cast<float>(count);
  const float factor = 1.0f / __builtin_sqrtf(mean + epsilon);
  const float offset = add_one ? 1.0f : 0.0f;
  each_vector<V>(x, count, 0.0f, [&](Float v, int64_t i) {
    const Float w =
        i + V::kLanes <= count ? V::load_float(weight + i) : load_tail<V>(weight + i, count - i, 0);
    store_at<V>(out, v * factor * (w + offset), i, count);
  });
}

template <class V>
void layer_norm(const float* x, const float* weight, const float* bias, float epsilon, float* out,
                int64_t count) {
  using Float = typename V::Float;
  Float sum = {};
  each_vector<V>(x, count, 0.0f, [&](Float v, int64_t) { sum = sum + v; });
  const float mean = add_lanes<V>(sum) / static_cast<float>(count);
  Float squares = {};
  each_vector<V>(x, count, mean, [&](Float v, int64_t) {
    const Float centred = v - mean;
    squares = V::fma(centred, centred, squares);
  });
  const float factor = 1.0f / __builtin_sqrtf(add_lanes<V>(squares) / static_cast<float>(count) + epsilon);
  each_vector<V>(x, count, 0.0f, [&](Float v, int64_t i) {
    const bool whole = i + V::kLanes <= count;
    const Float w = whole ? V::load_float(weight + i) : load_tail<V>(weight + i, count - i, 0);
    Float y = (v - mean) * factor * w;
    if (bias != nullptr) y = y + (whole ? V::load_float(bias + i) : load_tail<V>(bias + i, count - i, 0));
    store_at<V>(out, y, i, count);
  });
}

/// Signed 8 bits with scale = largest magnitude / 127, rounded to nearest even. A block (or row) that holds
/// NaN gets scale NaN, one that holds infinity gets scale infinity, so that the product is not finite either;
/// one whose largest magnitude is under 2^-120 becomes zero.
struct BlockScale {
  float scale, inverse;
  uint32_t top;
};

inline BlockScale block_scale(uint32_t top) {
  if (top > 0x7F800000u) return {__builtin_nanf(""), 0.0f, top};
  if (top == 0x7F800000u) return {__builtin_inff(), 0.0f, top};
  float largest;
  __builtin_memcpy(&largest, &top, 4);
  if (largest < 0x1p-120f) return {0.0f, 0.0f, top};
  return {largest / 127.0f, 127.0f / largest, top};
}

template <class V>
inline uint32_t largest_bits(const float* x, int64_t count) {
  using Int = typename V::Int;
  Int most = {};
  for (int64_t i = 0; i < count; i += V::kLanes) {
    const Int bits = (Int)V::load_float(x + i) & 0x7FFFFFFF;
    most = bits > most ? bits : most;
  }
  return static_cast<uint32_t>(V::max_int(most));
}

template <class V>
inline void quantize_block(const float* x, const BlockScale& scale, int row, int rows, int64_t block,
                           const ActivationStore& out) {
  using Float = typename V::Float;
  using Int = typename V::Int;
  int8_t* q = out.q + (block * rows + row) * 32;
  int32_t halves[2];
  for (int half = 0; half < 2; ++half) {
    Int sum = {};
    for (int i = half * 16; i < half * 16 + 16; i += V::kLanes) {
      const Float v = V::load_float(x + i);
      Int code = V::round((scale.top >= 0x7F800000u) ? Float{} : v * scale.inverse);
      if (scale.top == 0x7F800000u) {
        const Float big = fill<V>(__builtin_inff());
        code = (v == big ? Int{} + 127 : v == -big ? Int{} - 127 : Int{});
      }
      V::store_int8(q + i, code);
      sum += code;
    }
    halves[half] = V::add_int(sum);
  }
  const int64_t at = block * rows + row;
  out.scale[at] = scale.scale;
  out.minus_sum[at] = -(halves[0] + halves[1]);
  out.scaled_sum[at] = scale.scale * static_cast<float>(halves[0] + halves[1]);
  for (int half = 0; half < 2; ++half) {
    out.minus_half_sum[(block * 2 + half) * rows + row] = -halves[half];
    out.scaled_half_sum[(block * 2 + half) * rows + row] = scale.scale * static_cast<float>(halves[half]);
  }
}

template <class V>
void quantize(const float* x, int64_t stride, int64_t k, int rows, bool one_scale_a_row,
              const ActivationStore& out) {
  for (int row = 0; row < rows; ++row, x += stride) {
    BlockScale scale{};
    if (one_scale_a_row) scale = block_scale(largest_bits<V>(x, k));
    for (int64_t block = 0; block < k / 32; ++block) {
      if (!one_scale_a_row) scale = block_scale(largest_bits<V>(x + block * 32, 32));
      quantize_block<V>(x + block * 32, scale, row, rows, block, out);
    }
  }
}

template <class V>
inline void store_row(const StoreJob& job, int row) {
  using Float = typename V::Float;
  const float* acc = job.accumulators + row * kTileColumns;
  float* out = job.out + row * job.out_stride;
  const auto read = [&](const float* from, int i) {
    return i + V::kLanes <= job.width ? V::load_float(from + i) : load_tail<V>(from + i, job.width - i, 0.0f);
  };
  for (int i = 0; i < job.width; i += V::kLanes) {
    Float y = V::load_float(acc + i);
    if (job.bias != nullptr) y = y + read(job.bias, i);
    y = activate<V>(job.function, y);
    if (job.up != nullptr) {
      Float up = V::load_float(job.up + row * kTileColumns + i);
      if (job.up_bias != nullptr) up = up + read(job.up_bias, i);
      y = y * up;
    }
    if (job.residual != nullptr) y = y + read(job.residual + row * job.residual_stride, i);
    store_at<V>(out, y, i, job.width);
  }
}

template <class V>
void store(const StoreJob& job) {
  for (int row = 0; row < job.rows; ++row) store_row<V>(job, row);
}
