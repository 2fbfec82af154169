#include "statistics/random.h"

#include <cmath>
#include <numbers>
#include <numeric>
#include <utility>

namespace wattle::inline statistics {

uint64_t Random::next() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

// The upper half of the product maps 64 random bits onto 0 .. n-1; its bias of n / 2^64 is far below anything
// measured here. By halves, because 32-bit processors have no product of 128 bits.
int64_t Random::below(int64_t n) {
  const uint64_t bits = next(), count = static_cast<uint64_t>(n);
  const uint64_t low = (bits & 0xFFFFFFFFu) * (count & 0xFFFFFFFFu);
  const uint64_t cross = (bits >> 32) * (count & 0xFFFFFFFFu) + (low >> 32);
  const uint64_t other = (bits & 0xFFFFFFFFu) * (count >> 32) + (cross & 0xFFFFFFFFu);
  return static_cast<int64_t>((bits >> 32) * (count >> 32) + (cross >> 32) + (other >> 32));
}

double Random::uniform() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

double Random::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::vector<int64_t> shuffled(int64_t n, uint64_t seed) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  Random random(seed);
  for (int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
  return order;
}

}  // namespace wattle::inline statistics
