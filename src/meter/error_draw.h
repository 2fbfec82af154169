#pragma once

#include <array>
#include <map>
#include <span>
#include <string>

#include <wattle/meter.h>

#include "statistics/comparisons.h"
#include "statistics/random.h"

namespace wattle::inline meter {

/// One draw of everything that instruments repeat in every window: the gain of each counter, the parameters
/// of each power model. What two figures have in common cancels in their ratio under each draw, and nothing
/// else does: of two windows of one model with the same mix of idle, busy and arithmetic all of it, of
/// sleeping and working windows little.
class ErrorDraw {
 public:
  explicit ErrorDraw(Random& random) : random_(random) {}

  /// What the energy is under this draw, over what it is published as. A modelled figure that is neither a
  /// sum of terms nor a point of a curve shares nothing with any other.
  double factor(const Energy& energy);
  /// The same as joules to add: also of what is left of a subtraction, which may be nothing or less.
  double shift(const Energy& energy);

 private:
  using Parameters = std::array<double, ModelTerm::kBytes + 1>;  // standard normal
  const Parameters& parameters(const Energy& energy);
  double gain(const std::string& source);
  double on_curve(const Energy& energy);

  Random& random_;
  std::map<std::string, Parameters> parameters_;
  std::map<std::string, double> gains_;
  std::map<std::string, std::map<double, double>> curves_;  ///< of a model: what was drawn, by place
};

/// How many times as much energy windows like `a` take as windows like `b`, with both doubts: how the windows
/// spread (Student's t on logarithms, by pairs where `paired`: windows of the same rounds in order), and
/// ErrorDraw's in the mean windows. Unbounded below three windows on either side.
Ratio energy_ratio(std::span<const Energy> a, std::span<const Energy> b, bool paired, uint64_t seed = 1);

}  // namespace wattle::inline meter
