#pragma once

#include <cstdint>
#include <vector>

#include "families/config.h"
#include "families/hyperparameters.h"

namespace wattle::inline families {

/// How a model stretches rotary positions beyond what it was first trained with.
struct RopeScaling {
  std::vector<float> factors;  ///< divide the frequency of each pair; empty: none
  double position_scale = 1;   ///< multiplies positions
  double magnitude = 1;        ///< multiplies what is rotated
};

/// What <arch>.rope.scaling.type|factor|original_context_length|attn_factor|yarn_* say: "none", "linear",
/// "yarn" (Peng et al. 2023) or "longrope" (Ding et al. 2024). Error for another type. (Llama 3's factors are
/// a tensor, rope_freqs.weight, and LongRoPE's are two, rope_factors_short|long.weight; with these no type
/// need be said.)
RopeScaling rope_scaling(const Hyperparameters& hyper, int64_t dimensions, double base);

/// Reads rope_theta, rope_scaling (or rope_parameters, which holds both) and partial_rotary_factor into
/// <arch>.rope.*; `base` and `part` (of a head that is rotated) are what the family takes where the file says
/// nothing. Factors become the tensors above. Error for a kind that is not known.
void read_rope(ConfigReader& config, int64_t head_dim, double base = 10000, double part = 1);
/// The same by a base and a part that are known.
void read_rope_scaling(ConfigReader& config, int64_t head_dim, double base, double part);

}  // namespace wattle::inline families
