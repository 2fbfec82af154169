#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace wattle::inline decode {

struct SamplerOptions {
  double temperature = 0;  ///< 0: greedy
  int top_k = 0;           ///< keep the k likeliest; 0: all
  double top_p = 1;  ///< keep the likeliest whose probabilities first reach p (nucleus: Holtzman et al. 2020)
  double min_p = 0;  ///< keep those at least min_p times as likely as the likeliest (Nguyen et al. 2024)
  double typical = 1;  ///< keep those of nearly the expected surprise that reach this (Meister et al. 2022)
  /// Mirostat 2 (Basu et al. 2020): keep what surprises less than a bound that moves, in place of the filters
  /// above, so that the text surprises by so many bits a token. 0: off.
  double mirostat = 0;
  double mirostat_rate = 0.1;  ///< how fast its bound moves
  uint64_t seed = 0;
};

/// Error, in one sentence, for a negative temperature or top_k, top_p or typical outside (0, 1], min_p
/// outside [0, 1], or mirostat beside another filter.
void check(const SamplerOptions& options);

/// Chooses the next token from logits. Order: temperature, top-k, top-p, min-p, typical, draw. Ties go to the
/// smaller id. The same seed and logits give the same tokens on every machine.
class Sampler {
 public:
  /// Error as check() has it.
  explicit Sampler(const SamplerOptions& options);

  /// Error when every logit is NaN or -infinity.
  int32_t next(std::span<const float> logits);

  struct Candidate {
    int32_t id;
    double value;    ///< logit, then probability before normalisation
    double key = 0;  ///< typical: distance from the expected surprise
  };

 private:
  double uniform();
  int32_t draw(std::span<const Candidate> candidates, int32_t otherwise);
  void take_surprise(double bits);

  SamplerOptions options_;
  std::mt19937_64 random_;
  double bound_;  ///< mirostat's, in bits
};

/// Index of the largest value, the first of equals; NaN never wins. Error when there is none.
int32_t arg_max(std::span<const float> values);

/// The k largest, in falling order, without sorting the rest; ties go to the smaller index, NaN is left out.
std::vector<std::pair<int32_t, float>> largest(std::span<const float> values, int64_t k);

}  // namespace wattle::inline decode
