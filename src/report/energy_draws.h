#pragma once

#include <vector>

#include <wattle/study.h>

namespace wattle::inline report {

/// What cells may truly cost, as often drawn as `draws` has rows.
struct EnergyDraws {
  /// By draw and cell, joules: a thousand queries, and what is spent once (preparation and one load).
  struct Draw {
    std::vector<double> queries, once;
  };
  std::vector<Draw> draws;  ///< none where a cell has fewer than three windows
};

/// The draws of advise() for the cells at `places`: they depend on these cells alone.
EnergyDraws draw_energies(const Results& results, const std::vector<size_t>& places, int n_draws);

}  // namespace wattle::inline report
