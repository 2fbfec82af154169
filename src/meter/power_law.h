#pragma once

#include <string>
#include <vector>

namespace wattle::inline meter {

/// A published figure with what is known of its machine. Points of one group (a processor family, a
/// processor, a maker) are alike in ways that the features do not tell, so checks leave whole groups out.
struct LawPoint {
  std::string group;
  std::vector<double> features;  ///< all that a candidate law may use
  double log_watts = 0;
};

/// log(watts) = sum of coefficient x feature, for the features that the law uses, + the scale's feature.
struct PowerLaw {
  std::string name;
  int scale = -1;         ///< index of a feature whose coefficient is 1 by definition; -1: none
  std::vector<int> uses;  ///< indices of features
  std::vector<double> coefficients;
  double log_half_width = 0;  ///< the 95 % interval is watts / e^h to watts x e^h

  double log_watts(const std::vector<double>& features) const;
};

/// A law to try: its name in tables and the features that it uses.
struct LawCandidate {
  std::string name;
  int scale = -1;
  std::vector<int> uses;
};

/// Least squares on the points for one candidate; the interval is not set.
PowerLaw fit_law(const std::vector<LawPoint>& points, const LawCandidate& candidate);

/// The candidate whose median error is least on groups left out of its fit, fitted to all points. Half-width
/// of its interval: the quantile 0.95 of those left-out errors (split conformal prediction, Lei et al. 2018,
/// JASA 113(523), with groups in the place of single points). Error when there are fewer than two groups.
PowerLaw choose_law(const std::vector<LawPoint>& points, const std::vector<LawCandidate>& candidates);

/// The value at rank ceil(share x (n + 1)), at most the greatest: what conformal prediction asks for.
double conformal_quantile(std::vector<double> errors, double share);

}  // namespace wattle::inline meter
