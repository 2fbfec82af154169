#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace wattle {

struct SamplerOptions {
  double temperature = 0;  ///< 0: greedy
  int top_k = 0;           ///< keep the k likeliest; 0: all
  double top_p = 1;  ///< keep the likeliest whose probabilities first reach p (nucleus: Holtzman et al. 2020)
  double min_p = 0;  ///< keep those at least min_p times as likely as the likeliest (Nguyen et al. 2024)
  uint64_t seed = 0;
};

/// Chooses the next token from logits. Order: temperature, top-k, top-p, min-p, draw. Ties go to the smaller
/// id. The same seed and logits give the same tokens on every machine.
class Sampler {
 public:
  /// Error for a negative temperature or top_k, top_p outside (0, 1], min_p outside [0, 1].
  explicit Sampler(const SamplerOptions& options);

  /// Error when every logit is NaN or -infinity.
  int32_t next(std::span<const float> logits);

 private:
  void take_candidates(std::span<const float> logits);
  void keep_top_p();
  double uniform();

  struct Candidate {
    int32_t id;
    double value;  ///< logit, then probability before normalisation
  };

  SamplerOptions options_;
  std::mt19937_64 random_;
  std::vector<Candidate> candidates_;
};

/// Index of the largest value, the first of equals; NaN never wins. Error when there is none.
int32_t arg_max(std::span<const float> values);

/// The k largest, in falling order, without sorting the rest; ties go to the smaller index, NaN is left out.
std::vector<std::pair<int32_t, float>> largest(std::span<const float> values, int64_t k);

}  // namespace wattle
