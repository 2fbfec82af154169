#include "meter/load_pairs.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "meter/server_power.h"
#include "statistics/descriptive.h"

namespace wattle::inline meter {
namespace {

constexpr double kShare = 0.95;
constexpr double kGreatestScale = 10, kLeastScale = 0.02, kStep = 0.95;

std::set<std::string> processors_of(const std::vector<LoadResult>& loads) {
  std::set<std::string> processors;
  for (const LoadResult& load : loads) processors.insert(load.processor);
  return processors;
}

/// The loads of a processor, and those of all others.
std::pair<std::vector<LoadResult>, std::vector<LoadResult>> parted(const std::vector<LoadResult>& loads,
                                                                   const std::string& processor) {
  std::pair<std::vector<LoadResult>, std::vector<LoadResult>> parts;
  for (const LoadResult& load : loads)
    (load.processor == processor ? parts.first : parts.second).push_back(load);
  return parts;
}

/// By processor, each by a law of the others.
std::vector<std::vector<LoadPair>> left_out_pairs(const std::vector<LoadResult>& loads) {
  std::vector<std::vector<LoadPair>> pairs;
  for (const std::string& processor : processors_of(loads)) {
    const auto [own, rest] = parted(loads, processor);
    pairs.push_back(load_pairs(own, choose_law(package_points(rest), package_candidates())));
  }
  return pairs;
}

double half_width_of(const std::vector<LoadResult>& loads) {
  return choose_law(package_points(loads), package_candidates()).log_half_width;
}

}  // namespace

std::vector<LoadPair> load_pairs(const std::vector<LoadResult>& loads, const PowerLaw& law) {
  const auto log_watts = [&](const LoadResult& one) {
    return law.log_watts(package_features(one.design_watts, one.cores, one.full_load_megahertz, one.load));
  };
  std::vector<LoadPair> pairs;
  for (const LoadResult& a : loads) {
    for (const LoadResult& b : loads) {
      if (a.processor != b.processor || a.mode != b.mode || a.load <= b.load || b.load < kLeastLoad) continue;
      const double ratio = log_watts(a) - log_watts(b);
      pairs.push_back({a.processor, std::abs(std::log(a.watts / b.watts) - ratio), std::abs(ratio)});
    }
  }
  return pairs;
}

double share_inside(const std::vector<LoadPair>& pairs, double log_half_width, double scale) {
  const auto inside = std::ranges::count_if(pairs, [&](const LoadPair& pair) {
    const double together = scale > 0 ? std::exp(-pair.distance / scale) : 0;
    return pair.log_error <= log_half_width * std::sqrt(2 * (1 - together));
  });
  return static_cast<double>(inside) / static_cast<double>(std::max<size_t>(1, pairs.size()));
}

double fit_curve_scale(const std::vector<LoadResult>& loads) {
  const std::vector<std::vector<LoadPair>> pairs = left_out_pairs(loads);
  const double half_width = half_width_of(loads);
  for (double scale = kGreatestScale; scale > kLeastScale; scale *= kStep) {
    const auto holds = [&](const std::vector<LoadPair>& own) {
      return share_inside(own, half_width, scale) >= kShare;
    };
    if (std::ranges::all_of(pairs, holds)) return scale;
  }
  return 0;
}

CurveScaleCheck check_curve_scale(const std::vector<LoadResult>& loads) {
  CurveScaleCheck check;
  std::vector<LoadPair> all;
  for (const auto& own : left_out_pairs(loads)) all.insert(all.end(), own.begin(), own.end());
  check.pairs = static_cast<int>(all.size());
  check.fitted = share_inside(all, half_width_of(loads), fit_curve_scale(loads));
  check.least_left_out = 1;
  double inside = 0;
  std::vector<double> errors;
  for (const std::string& processor : processors_of(loads)) {
    const auto [own, rest] = parted(loads, processor);
    const PowerLaw law = choose_law(package_points(rest), package_candidates());
    const std::vector<LoadPair> pairs = load_pairs(own, law);
    const double share = share_inside(pairs, law.log_half_width, fit_curve_scale(rest));
    inside += share * static_cast<double>(pairs.size());
    check.least_left_out = std::min(check.least_left_out, share);
    ++check.processors;
    for (const LoadPair& pair : pairs) errors.push_back(std::exp(pair.log_error) - 1);
  }
  check.left_out = inside / check.pairs;
  check.median_error = median(errors);
  return check;
}

}  // namespace wattle::inline meter
