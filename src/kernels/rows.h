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
  const Float magic = fill<V>(kFloatStartValue);
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
