#pragma once

#include <map>
#include <vector>

#include <wattle/study.h>

namespace wattle::inline study {

/// What asking a thousand questions costs by itself, in joules: the mean of Results::empty. No source: it was
/// not measured.
Energy asking_energy(const Results& results);

/// Of each round the energy of a thousand queries, in joules: the accepted window of that round, net of
/// asking_energy(). Below zero where the doubt of both is greater than what is left.
std::map<int, Energy> energy_by_round(const Results& results, const CellResult& cell);

/// What was done once before the first query: training, conversion and choosing thresholds together. No
/// source: nothing was.
Energy preparation_energy(const CellResult& cell);

/// Opening the model, once a process: each round's.
std::vector<Energy> load_energies(const CellResult& cell);

}  // namespace wattle::inline study
