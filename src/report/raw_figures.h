#pragma once

#include <string>

#include "meter/raw_window.h"

namespace wattle::inline report {

/// The figure of a window as its raw samples give it, by arithmetic of its own: of the meter nothing is used
/// but the form of the samples. docs/meter.md, "What a window is computed from", has every formula.
struct RawFigure {
  double joules = 0, low = 0, high = 0;
  double systematic = 0, resolution = 0;
  double idle = 0, idle_half = 0;
  double seconds = 0;
  bool is_modelled = false, idle_known = false;
  std::string source;
  std::string
      unread;  ///< a channel that could not be read, or was implausible, within the window; empty: none
};

/// Error where there is no source and no model.
RawFigure figure_of(const RawWindow& window);

/// What a modelled window took of each parameter, by ModelTerm::Parameter.
std::vector<double> amounts_of(const RawModel& model);

}  // namespace wattle::inline report
