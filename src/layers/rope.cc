#include "layers/rope.h"

#include "base/threads.h"
#include "kernels/elementary.h"
#include "kernels/elementwise.h"

namespace wattle::inline layers {
namespace {

/// Cosines of a row, and sines, as rotate_halves and rotate_neighbours read them.
int64_t table_width(RopePairs pairs, int64_t dimensions) {
  return pairs == RopePairs::kHalves ? dimensions / 2 : dimensions;
}

}  // namespace

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
  const int64_t half = dimensions_ / 2, width = table_width(pairs_, dimensions_);
  const auto rows = static_cast<int64_t>(positions.size());
  cosines_.resize(static_cast<size_t>(rows * width));
  sines_.resize(static_cast<size_t>(rows * width));
  for_each_index(rows, rows > 16, [&](int64_t row) {
    const bool is_long = !long_frequencies_.empty() && !lengths.empty() && lengths[row] > longest_;
    const std::vector<double>& frequency = is_long ? long_frequencies_ : frequencies_;
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(positions[row]) * frequency[i];
      const SineCosine turned = sine_cosine(angle);
      const auto cosine = static_cast<float>(magnitude_ * turned.cosine);
      const auto sine = static_cast<float>(magnitude_ * turned.sine);
      if (pairs_ == RopePairs::kHalves) {
        cosines_[row * width + i] = cosine, sines_[row * width + i] = sine;
      } else {
        float* const cosines = cosines_.data() + row * width + 2 * i;
        float* const sines = sines_.data() + row * width + 2 * i;
        cosines[0] = cosines[1] = cosine, sines[0] = -sine, sines[1] = sine;
      }
    }
  });
}

void Rope::rotate(int64_t row, float* head) const {
  const float* cosines = cosines_.data() + row * table_width(pairs_, dimensions_);
  const float* sines = sines_.data() + row * table_width(pairs_, dimensions_);
  if (pairs_ == RopePairs::kHalves) {
    rotate_halves(head, cosines, sines, dimensions_ / 2);
  } else {
    rotate_neighbours(head, cosines, sines, dimensions_);
  }
}

}  // namespace wattle::inline layers
