#include "meter/power_law.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <wattle/error.h>

#include "statistics/descriptive.h"

namespace wattle::inline meter {
namespace {

constexpr double kCoverage = 0.95;

/// Solves a x = b for a symmetric positive definite system given as rows [a | b]; a column that the points
/// do not determine gets 0.
std::vector<double> solve(std::vector<std::vector<double>> a) {
  const size_t n = a.size();
  std::vector<bool> determined(n, true);
  for (size_t i = 0; i < n; ++i) {
    if (std::abs(a[i][i]) < 1e-9) {
      determined[i] = false;
      continue;
    }
    for (size_t k = 0; k < n; ++k) {
      if (k == i) continue;
      const double factor = a[k][i] / a[i][i];
      for (size_t j = i; j <= n; ++j) a[k][j] -= factor * a[i][j];
    }
  }
  std::vector<double> x(n);
  for (size_t i = 0; i < n; ++i) x[i] = determined[i] ? a[i][n] / a[i][i] : 0;
  return x;
}

/// |error| of every point by a law that was fitted without the point's group.
std::vector<double> left_out_errors(const std::vector<LawPoint>& points, const LawCandidate& candidate) {
  std::set<std::string> groups;
  for (const LawPoint& point : points) groups.insert(point.group);
  std::vector<double> errors;
  for (const std::string& group : groups) {
    std::vector<LawPoint> rest;
    for (const LawPoint& point : points) {
      if (point.group != group) rest.push_back(point);
    }
    const PowerLaw law = fit_law(rest, candidate);
    for (const LawPoint& point : points) {
      if (point.group == group) errors.push_back(std::abs(point.log_watts - law.log_watts(point.features)));
    }
  }
  return errors;
}

}  // namespace

double PowerLaw::log_watts(const std::vector<double>& features) const {
  double sum = scale < 0 ? 0 : features[static_cast<size_t>(scale)];
  for (size_t i = 0; i < uses.size(); ++i) sum += coefficients[i] * features[static_cast<size_t>(uses[i])];
  return sum;
}

PowerLaw fit_law(const std::vector<LawPoint>& points, const LawCandidate& candidate) {
  const size_t n = candidate.uses.size();
  std::vector<std::vector<double>> a(n, std::vector<double>(n + 1));
  for (const LawPoint& point : points) {
    const double scale = candidate.scale < 0 ? 0 : point.features[static_cast<size_t>(candidate.scale)];
    for (size_t i = 0; i < n; ++i) {
      const double x = point.features[static_cast<size_t>(candidate.uses[i])];
      for (size_t j = 0; j < n; ++j) a[i][j] += x * point.features[static_cast<size_t>(candidate.uses[j])];
      a[i][n] += x * (point.log_watts - scale);
    }
  }
  return {candidate.name, candidate.scale, candidate.uses, solve(std::move(a)), 0};
}

PowerLaw choose_law(const std::vector<LawPoint>& points, const std::vector<LawCandidate>& candidates) {
  std::set<std::string> groups;
  for (const LawPoint& point : points) groups.insert(point.group);
  if (groups.size() < 2) fail("a power law needs points of at least two groups; check the tables");
  const LawCandidate* best = nullptr;
  std::vector<double> errors;
  for (const LawCandidate& candidate : candidates) {
    std::vector<double> own = left_out_errors(points, candidate);
    if (best == nullptr || median(own) < median(errors)) best = &candidate, errors = std::move(own);
  }
  PowerLaw law = fit_law(points, *best);
  law.log_half_width = conformal_quantile(std::move(errors), kCoverage);
  return law;
}

double conformal_quantile(std::vector<double> errors, double share) {
  if (errors.empty()) return NAN;
  std::sort(errors.begin(), errors.end());
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(errors.size() + 1)));
  return errors[std::min(std::max<size_t>(rank, 1), errors.size()) - 1];
}

}  // namespace wattle::inline meter
