#include "meter/refresh.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "statistics/descriptive.h"

namespace wattle::inline meter {
namespace {

constexpr size_t kFewestChanges = 3;
/// A gap of more refreshes tells nothing of their length.
constexpr int kMostRefreshes = 64;
/// No source is known to be new more often and to be worth following.
constexpr double kShortestRefresh = 0.02;
/// How far the moments of readings wander, relative to a refresh: by a timer's clock, by a busy controller.
constexpr double kJitters[] = {0.005, 0.05, 0.2};
/// Changes that have nothing to do with the lattice: a reading that was lost.
constexpr double kStrays = 0.01;

/// Seconds between two changes, and how far that may be off by the polls that dated them.
struct Gap {
  double seconds, dated;
  double refreshes(double refresh) const { return std::max(1.0, std::round(seconds / refresh)); }
};

/// A lattice on which changes lie, and how far moments wander about it, relative to a refresh.
struct Lattice {
  double refresh, jitter;
  /// How far a gap may be off a whole number of refreshes.
  double width(const Gap& gap) const {
    return std::min(gap.dated + jitter * refresh * std::sqrt(gap.refreshes(refresh)), refresh);
  }
  double off(const Gap& gap) const { return std::abs(gap.seconds - gap.refreshes(refresh) * refresh); }
};

/// Logarithm of how much more likely the gaps are on a lattice than anywhere. What a gap is off has a
/// triangular density; jitter adds up over the refreshes of a gap.
double log_likelihood(std::span<const Gap> gaps, const Lattice& lattice) {
  double sum = 0;
  for (const Gap& gap : gaps) {
    const double width = lattice.width(gap);
    const double density = std::max(0.0, 1 - lattice.off(gap) / width) / width;
    sum += std::log(kStrays + (1 - kStrays) * lattice.refresh * density);
  }
  return sum;
}

/// The most likely lattice; each gap may hold any whole number of refreshes.
Lattice likeliest(std::span<const Gap> gaps) {
  Lattice best{gaps.front().seconds, kJitters[0]};
  double most = -INFINITY;
  for (const Gap& gap : gaps) {
    for (int n = 1; n <= kMostRefreshes && gap.seconds / n >= kShortestRefresh; ++n) {
      for (const double jitter : kJitters) {
        const double likelihood = log_likelihood(gaps, {gap.seconds / n, jitter});
        if (likelihood > most) most = likelihood, best = {gap.seconds / n, jitter};
      }
    }
  }
  return best;
}

}  // namespace

double refresh_of_power(std::span<const Change> changes, double known) {
  if (changes.size() < kFewestChanges) return known;
  const auto appeared = [&](size_t i) { return (changes[i].time + changes[i].since) / 2; };
  std::vector<Gap> gaps;
  std::vector<double> bounds;
  for (size_t i = 1; i < changes.size(); ++i) {
    const double seconds = appeared(i) - appeared(i - 1);
    const double dated =
        (changes[i].time - changes[i].since + changes[i - 1].time - changes[i - 1].since) / 2;
    // Two polls that both show something new say only that the source is renewed at least as often.
    if (changes[i].since > changes[i - 1].time)
      gaps.push_back({seconds, dated});
    else
      bounds.push_back(seconds);
  }
  if (2 * gaps.size() < bounds.size()) return known > 0 ? std::min(known, median(bounds)) : median(bounds);
  const Lattice lattice = likeliest(gaps);
  double seconds = 0, refreshes = 0;
  for (const Gap& gap : gaps) {
    if (lattice.off(gap) > lattice.width(gap)) continue;  // a stray
    seconds += gap.seconds, refreshes += gap.refreshes(lattice.refresh);
  }
  return refreshes > 0 ? seconds / refreshes : lattice.refresh;
}

}  // namespace wattle::inline meter
