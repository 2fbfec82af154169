#pragma once

#include <algorithm>
#include <mutex>

#include "base/threads.h"
#include "base/work.h"

namespace wattle::inline layers {

/// Tokens from which a layer is divided by tokens rather than each of its products by outputs. Every thread
/// then reads all of the layer's weights, which must find enough tokens to be worth it. 300 KB a token of a
/// thread were measured on a Zen 5, 2 threads: all-minilm-l6-v2 (a layer of 1.8 MB at 8 bits, 7 MB at F32)
/// gains by tokens from 12 and 48 on, gemma-3-270m (3.4 MB) from 24, qwen2.5-coder-1.5b (26 MB) from about
/// 150 (32 tokens: 18 % faster by outputs), a sentence of bert-base (7 MB at 8 bits) is 12 to 19 % faster by
/// outputs.
inline int64_t tokens_of_team(double layer_bytes) {
  return active_threads() * std::max<int64_t>(4, static_cast<int64_t>(layer_bytes / 300e3));
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
    static std::mutex adding;
    const std::lock_guard lock(adding);
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

}  // namespace wattle::inline layers
