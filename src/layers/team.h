#pragma once

#include <algorithm>

#include "base/threads.h"
#include "base/work.h"

namespace wattle {

/// Tokens from which a layer is divided by tokens rather than each of its products by outputs. Every thread
/// then reads all weights, which must find enough tokens to be worth it: the more the larger they are
/// (all-minilm-l6-v2, one sentence at a time, 2 threads of a Zen 5: F32 is 25 % faster by outputs, 8-bit
/// weights 5 % slower).
inline int64_t tokens_of_team(double bytes_a_weight) {
  return threads() * std::max<int64_t>(4, static_cast<int64_t>(6 * bytes_a_weight));
}

/// step(number, Part, Work&) for every number below `count`: a team's threads go through each step with their
/// part of the tokens (or heads, or sequences) and wait for each other only between steps (in_numbered_steps
/// of base/threads.h) instead of at every operation. The parts' work, counts that double precision adds
/// exactly in any order, goes to `work`.
template <class Step>
void layers_in_steps(bool by_team, int64_t count, Work& work, const Step& step) {
  in_numbered_steps(by_team, count, [&](int64_t number, Part part) {
    Work mine;
    step(number, part, mine);
#pragma omp critical(wattle_layer_work)
    work += mine;
  });
}

/// The same for the steps of one layer, step(Part, Work&).
template <class... Steps>
void layer_in_steps(bool by_team, Work& work, Steps&&... steps) {
  layers_in_steps(by_team, sizeof...(steps), work, [&](int64_t number, Part part, Work& mine) {
    int64_t index = 0;
    ((index++ == number ? static_cast<void>(steps(part, mine)) : void()), ...);
  });
}

}  // namespace wattle
