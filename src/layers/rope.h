#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/matrix.h"

namespace wattle::inline layers {

/// Which values of a head are rotated together.
enum class RopePairs {
  kNeighbours,  ///< (0, 1), (2, 3), ...: GGUF's llama, whose rows are permuted for it
  kHalves,      ///< (0, n/2), (1, n/2 + 1), ...: Hugging Face, qwen2, gemma3
};

/// Rotary position embedding (Su et al. 2021) of a batch: the angles are computed once for a batch and used
/// by every head of every layer.
class Rope {
 public:
  /// `dimensions` (even) of each head are rotated by position * base^(-2i / dimensions). `factors` is empty
  /// or divides the frequency of each pair (rope_freqs of llama 3); `scale` multiplies positions (linear
  /// scaling: 1 / factor); `magnitude` multiplies what is rotated (YaRN, Peng et al. 2023).
  Rope(int64_t dimensions, double base, RopePairs pairs, std::vector<float> factors = {}, double scale = 1,
       double magnitude = 1);

  /// Rows of sequences of more than `length` tokens are rotated by frequencies that these factors divide
  /// instead (LongRoPE, Ding et al. 2024).
  void set_long_factors(int64_t length, std::span<const float> factors);
  /// That length; 0: no factors were set.
  int64_t longest() const { return longest_; }

  /// The batch's rows: their positions and the lengths of their sequences, this batch included (empty: none
  /// is long).
  void set_positions(std::span<const int64_t> positions, std::span<const int64_t> lengths = {});
  /// Rotates `head` [dimensions] of row `row` of the batch in place.
  void rotate(int64_t row, float* head) const;

 private:
  std::vector<double> frequencies(std::span<const float> factors) const;

  int64_t dimensions_;
  double base_, scale_;
  RopePairs pairs_;
  double magnitude_ = 1;
  std::vector<double> frequencies_;       ///< [dimensions / 2]
  std::vector<double> long_frequencies_;  ///< the same for long sequences, or empty
  int64_t longest_ = 0;                   ///< sequence that is not long
  std::vector<float> cosines_, sines_;
};

}  // namespace wattle::inline layers
