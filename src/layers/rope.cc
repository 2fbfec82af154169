#include "layers/rope.h"

#include "base/threads.h"
#include "kernels/elementary.h"

namespace wattle::inline layers {

Rope::Rope(int64_t dimensions, double base, RopePairs pairs, std::vector<float> factors, double scale,
           double magnitude)
    : dimensions_(dimensions), base_(base), scale_(scale), pairs_(pairs), magnitude_(magnitude) {
  frequencies_ = frequencies(factors);
}

std::vector<double> Rope::frequencies(std::span<const float> factors) const {
  std::vector<double> of_pairs;
  for (int64_t i = 0; i < dimensions_ / 2; ++i) {
    const double factor = factors.empty() ? 1 : factors[static_cast<size_t>(i)];
    of_pairs.push_back(scale_ / factor *
                       power(base_, -2.0 * static_cast<double>(i) / static_cast<double>(dimensions_)));
  }
  return of_pairs;
}

void Rope::set_long_factors(int64_t length, std::span<const float> factors) {
  longest_ = length;
  long_frequencies_ = frequencies(factors);
}

void Rope::set_positions(std::span<const int64_t> positions, std::span<const int64_t> lengths) {
  const int64_t half = dimensions_ / 2;
  const auto rows = static_cast<int64_t>(positions.size());
  cosines_.resize(static_cast<size_t>(rows * half));
  sines_.resize(static_cast<size_t>(rows * half));
  for_each_index(rows, rows > 16, [&](int64_t row) {
    const bool is_long = !long_frequencies_.empty() && !lengths.empty() && lengths[row] > longest_;
    const std::vector<double>& frequency = is_long ? long_frequencies_ : frequencies_;
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(positions[row]) * frequency[i];
      const SineCosine turned = sine_cosine(angle);
      cosines_[row * half + i] = static_cast<float>(magnitude_ * turned.cosine);
      sines_[row * half + i] = static_cast<float>(magnitude_ * turned.sine);
    }
  });
}

void Rope::rotate(int64_t row, float* head) const {
  const int64_t half = dimensions_ / 2;
  const float* cosine = cosines_.data() + row * half;
  const float* sine = sines_.data() + row * half;
  // The two are written out because only fixed steps become vectors.
  if (pairs_ == RopePairs::kHalves) {
    float* second = head + half;
#pragma omp simd
    for (int64_t i = 0; i < half; ++i) {
      const float x = head[i], y = second[i];
      head[i] = x * cosine[i] - y * sine[i];
      second[i] = y * cosine[i] + x * sine[i];
    }
  } else {
#pragma omp simd
    for (int64_t i = 0; i < half; ++i) {
      const float x = head[2 * i], y = head[2 * i + 1];
      head[2 * i] = x * cosine[i] - y * sine[i];
      head[2 * i + 1] = y * cosine[i] + x * sine[i];
    }
  }
}

}  // namespace wattle::inline layers
