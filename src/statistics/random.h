#pragma once

#include <cstdint>
#include <vector>

namespace wattle::inline statistics {

/// Random numbers of a seed. Written here because the standard library's distributions differ between
/// implementations, and the same seed must give the same study everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t next();           ///< SplitMix64 (Steele et al. 2014)
  int64_t below(int64_t n);  ///< 0 .. n-1
  double uniform();          ///< [0, 1)
  double normal();           ///< standard normal (Box and Muller 1958)

 private:
  uint64_t state_;
};

/// Indices 0 .. n-1 in an order drawn from the seed.
std::vector<int64_t> shuffled(int64_t n, uint64_t seed);

}  // namespace wattle::inline statistics
