// Every window's energy from its raw samples once more (raw_figures.h).
#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include <fmt/format.h>
#include <wattle/error.h>

#include "base/sha256.h"
#include "report/format.h"
#include "report/raw_figures.h"
#include "report/report.h"

namespace wattle::inline report {
namespace {

constexpr double kWindowTolerance = 1e-9;  // sums in another order

std::string place_of(const CellResult& cell, const Window& window) {
  return fmt::format("{}, {} window {}{}", cell_name(cell), window.kind, window.round + 1,
                     window.attempt > 0 ? fmt::format(" (attempt {})", window.attempt + 1) : "");
}

/// Differences of less than `scale` x 1e-9 come from the order of sums.
std::string difference_of(const char* what, double stored, double computed, double scale) {
  if (std::abs(stored - computed) <=
      kWindowTolerance * std::max({std::abs(stored), std::abs(computed), scale}))
    return "";
  return fmt::format("{} is kept as {}, but its raw samples give {}", what, stored, computed);
}

std::string difference_of_terms(const Energy& energy, const RawModel& model) {
  const std::vector<double> amounts = amounts_of(model);
  if (energy.model.terms.size() != amounts.size())
    return fmt::format("the model has {} terms, but its raw samples give {}", energy.model.terms.size(),
                       amounts.size());
  for (size_t i = 0; i < amounts.size(); ++i) {
    const ModelTerm& term = energy.model.terms[i];
    const RawModel::Range& range = model.parameters.at(i);
    for (const auto& [stored, computed] :
         {std::pair(term.amount, amounts[i]), std::pair(term.low, range.low),
          std::pair(term.value, range.value), std::pair(term.high, range.high)}) {
      const std::string what = fmt::format("the model's term of {}", name(term.parameter));
      if (const std::string found = difference_of(what.c_str(), stored, computed, 0); !found.empty())
        return found;
    }
  }
  return "";
}

/// The first difference of a window from what its samples give; empty: none.
std::string difference_of(const Window& window) {
  const Energy& energy = window.energy;
  const RawWindow raw = raw_window_from_json(window.readings);
  const RawFigure figure = figure_of(raw);
  if (figure.source != energy.source)
    return fmt::format("the source is kept as {}, but its raw samples are of {}", energy.source,
                       figure.source);
  if (figure.is_modelled != (energy.grade == Grade::kModelled))
    return fmt::format("the grade is kept as {}, which its raw samples are not", name(energy.grade));
  if (!figure.unread.empty() && energy.invalid.empty())
    return fmt::format("is kept as valid, but {} could not be read in it", figure.unread);
  if (figure.idle_known != energy.idle_known) return "idle is known by the window or its raw samples alone";
  const std::tuple<const char*, double, double> figures[] = {
      {"joules", energy.joules, figure.joules},
      {"the lower bound", energy.low, figure.low},
      {"the upper bound", energy.high, figure.high},
      {"the repeated part", energy.systematic, figure.systematic},
      {"the resolution", energy.resolution, figure.resolution},
      {"idle", energy.idle_joules, figure.idle_known ? figure.idle : 0},
      {"idle's half-width", energy.idle_half, figure.idle_half},
      {"the length", energy.seconds, figure.seconds}};
  for (const auto& [what, stored, computed] : figures) {
    if (const std::string found = difference_of(what, stored, computed, figure.joules); !found.empty())
      return found;
  }
  return raw.model ? difference_of_terms(energy, *raw.model) : "";
}

std::string check(const Window& window) {
  if (window.readings.empty()) return "has no raw samples";
  if (sha256_hex(window.readings) != window.readings_sha256)
    return "its raw samples are not those that were taken (SHA-256 differs)";
  try {
    return difference_of(window);
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

std::vector<std::string> verify_windows(const Results& results) {
  std::vector<std::string> sentences;
  const auto check_cell = [&](const CellResult& cell) {
    for (const Window& window : cell.samples) {
      if (const std::string found = check(window); !found.empty())
        sentences.push_back(place_of(cell, window) + ": " + found);
    }
  };
  if (results.empty) check_cell(*results.empty);
  for (const CellResult& cell : results.cells) check_cell(cell);
  return sentences;
}

}  // namespace wattle::inline report
