#pragma once

#include "base/threads.h"
#include "base/work.h"

namespace wattle {

/// Tokens from which a layer is divided by tokens rather than each of its products by outputs: with fewer,
/// each thread would read all weights for too few rows.
inline int64_t tokens_of_team() {
  return 4 * threads();
}

/// The steps of a layer, step(Part, Work&), one after another: a team's threads go through each with their
/// part of the tokens (or heads) and wait for each other only between steps (in_steps of base/threads.h), a
/// few times a layer instead of at every operation. The parts' work, counts that double precision adds
/// exactly in any order, goes to `work`.
template <class... Steps>
void layer_in_steps(bool by_team, Work& work, Steps&&... steps) {
  const auto counted = [&work](auto& step) {
    return [&work, &step](Part part) {
      Work mine;
      step(part, mine);
#pragma omp critical(wattle_layer_work)
      work += mine;
    };
  };
  in_steps(by_team, counted(steps)...);
}

}  // namespace wattle
