#pragma once

#include <array>
#include <cmath>

#include <wattle/study.h>

namespace wattle {

/// The meter of a simulated study: a counter of 5 % gain, or a model whose parameters are wrong.
struct SimulatedMeter {
  bool modelled = false;
  std::array<double, 2> wrong{};  ///< of the idle and the full power; 1 lies at the end of a term's range

  /// How many times as much as the model says was truly taken: its true parameters lie in the ranges of the
  /// terms as far from the values as `wrong` was drawn.
  double model_error(double idle_share) const {
    return idle_share * std::pow(2, wrong[0]) + (1 - idle_share) * std::pow(1.6, wrong[1]);
  }

  /// A window of 1,000 queries of which the meter shows `joules`.
  Window window(int round, double joules, double idle_share, int64_t memory) const {
    Window window;
    window.kind = "queries";
    window.round = round;
    window.queries = 1000;
    window.energy = energy(joules, idle_share);
    window.latencies_ms = {1};
    window.peak_memory_bytes = memory;
    return window;
  }

 private:
  Energy energy(double joules, double idle_share) const {
    Energy energy;
    energy.joules = joules, energy.seconds = 1;
    if (modelled) {
      energy.source = "model:simulated", energy.grade = Grade::kModelled;
      energy.low = joules / 1.8, energy.high = joules * 1.8;
      energy.model.terms = {{ModelTerm::kIdle, joules * idle_share, 0.5, 1, 2},
                            {ModelTerm::kFull, joules * (1 - idle_share), 1 / 1.6, 1, 1.6}};
    } else {
      energy.source = "rapl-perf", energy.grade = Grade::kMeasured;
      energy.low = 0.95 * joules, energy.high = 1.05 * joules, energy.systematic = 0.05 * joules;
    }
    return energy;
  }
};

}  // namespace wattle
