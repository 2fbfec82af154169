#pragma once

#include <string>
#include <vector>

#include <wattle/study.h>

namespace wattle::inline report {

/// The table of a study for a terminal of 80 columns, with a legend. `colour`: ANSI colours for the Pareto
/// front.
std::string table(const Results& results, bool colour);

/// One line a cell, RFC 4180, with a header line; all that is known of a cell, energies in Wh.
std::string csv(const Results& results);

/// A JSON array with one object a cell (see cell_json).
std::string json(const Results& results);

/// One self-contained page: table, charts, advice, method. Opens without a network; all text of the study is
/// escaped.
std::string html(const Results& results);

/// Computes every published figure again from the windows and answers of the store, by code that shares
/// nothing with summarise() but the statistics module and the metrics, and returns one sentence for each that
/// differs.
std::vector<std::string> verify_figures(const Results& results);

/// Computes the energy of every window again from its raw samples, by code that shares nothing with the meter
/// but the form of the samples and the statistics module, and returns one sentence for each window that
/// differs, that has no samples, or whose samples are not those that were taken.
std::vector<std::string> verify_windows(const Results& results);

}  // namespace wattle::inline report
