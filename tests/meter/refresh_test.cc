// How often a source of power is renewed, from readings of loads that show it well and badly.
#include "meter/refresh.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace wattle {
namespace {

/// A source that is renewed every `refresh` seconds, each time off by `jitter` of it, and polled every
/// `poll`. `changed(n)` says whether the n-th refresh shows another value.
struct Polled {
  double refresh, poll, jitter = 0;
  std::mt19937_64 random{11};

  template <typename Changed>
  std::vector<Change> changes(size_t count, const Changed& changed) {
    std::normal_distribution<double> normal;
    std::vector<Change> found;
    for (int n = 1; found.size() < count; ++n) {
      const double renewed = n * refresh + jitter * refresh * normal(random);
      if (!changed(n)) continue;
      const double since = std::floor(renewed / poll) * poll;
      if (found.empty() || since + poll > found.back().time)
        found.push_back({since + poll, static_cast<double>(n), since});
    }
    return found;
  }
};

TEST(RefreshOfPower, IsSeenInALoadThatStepsFarMoreSeldom) {
  // As a supply's: renewed four times a second, polled 20 times, under a load that steps every few seconds.
  for (const double refresh : {0.25, 0.5, 1.0}) {
    for (uint64_t seed = 0; seed < 20; ++seed) {
      std::mt19937_64 random(seed);
      std::uniform_real_distribution<double> pause(0.3, 4);
      double next = 0;
      const auto steps = [&](int n) {
        const bool stepped = n * refresh >= next;
        if (stepped) next = n * refresh + pause(random);
        return stepped;
      };
      const std::vector<Change> changes = Polled{refresh, 0.0501}.changes(24, steps);
      EXPECT_NEAR(refresh_of_power(changes, 0), refresh, 0.03 * refresh) << refresh << ", seed " << seed;
    }
  }
}

TEST(RefreshOfPower, IsTheTimeBetweenReadingsThatAllDiffer) {
  const auto always = [](int) { return true; };
  const auto mostly = [](int n) { return n % 5 != 0 && n % 7 != 0; };  // a value may repeat
  for (const double jitter : {0.0, 0.03, 0.1}) {
    Polled battery{1, 0.1, jitter}, sensor{0.25, 0.02, jitter};
    EXPECT_NEAR(refresh_of_power(battery.changes(24, always), 0), 1, 0.05) << jitter;
    EXPECT_NEAR(refresh_of_power(battery.changes(24, mostly), 0), 1, 0.05) << jitter;
    EXPECT_NEAR(refresh_of_power(sensor.changes(24, always), 0), 0.25, 0.02) << jitter;
    EXPECT_NEAR(refresh_of_power(sensor.changes(24, mostly), 0), 0.25, 0.02) << jitter;
  }
}

TEST(RefreshOfPower, IsABoundWhereEveryPollShowsSomethingNew) {
  std::vector<Change> changes;
  for (int i = 1; i < 10; ++i) changes.push_back({0.05 * i, 1.0 * i, 0.05 * (i - 1)});
  EXPECT_NEAR(refresh_of_power(changes, 0), 0.05, 1e-9);
  EXPECT_EQ(refresh_of_power(changes, 0.02), 0.02);  // a bound does not undo what is known
}

TEST(RefreshOfPower, IsNotLearntFromOneGap) {
  const std::vector<Change> changes = {{1, 10, 0.95}, {3, 20, 2.95}};
  EXPECT_EQ(refresh_of_power(changes, 0), 0);
  EXPECT_EQ(refresh_of_power(changes, 0.5), 0.5);
}

}  // namespace
}  // namespace wattle
