#pragma once

#include <map>
#include <vector>

#include <wattle/study.h>

namespace wattle {

/// Of each round the energy of a thousand queries, in joules: the accepted window of that round.
std::map<int, Energy> energy_by_round(const CellResult& cell);

/// What was done once before the first query: training and conversion together. No source: nothing was.
Energy preparation_energy(const CellResult& cell);

/// Opening the model, once a process: each round's.
std::vector<Energy> load_energies(const CellResult& cell);

}  // namespace wattle
