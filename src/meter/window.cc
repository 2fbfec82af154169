#include "meter/window.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include <fmt/format.h>

#include "statistics/descriptive.h"
#include "statistics/distributions.h"

namespace wattle::inline meter {
namespace {

/// A uniform error of +-h has the standard deviation h / sqrt(3).
const double kUniform = 1.96 / std::sqrt(3.0);
/// How far the energy of a part of a refresh is off, relative to the levels around it and the parabola of its
/// place, where the power may change at any time. Chosen so that the intervals of the simulated machines with
/// random loads hold the truth as often as they say.
constexpr double kShape = 0.8;
/// The same where the load is taken to change at the edge, relative to the other way of seeing it.
constexpr double kOtherWay = 0.3;
/// A reading that differs by more than so many standard deviations of the noise is a step of the power.
constexpr double kStep = 4;
/// Readings that repeat by chance as seldom as this do not do so by chance.
constexpr double kChance = 0.01;
/// A median tells a deviation as well as this share of its values would by their squares.
constexpr double kMedianWorth = 0.7;
/// A reading of unknown refresh that comes no later than this after a command's beginning is the first of its
/// load.
constexpr double kLatest = 3;
/// A source of power whose refresh is not known and that shows nothing new in a window this short may not
/// have been renewed in it.
constexpr double kLongestRefresh = 10;

/// Energy in the first part of a stretch of time, and its half-width.
struct Part {
  double joules = 0, half = 0;
};

enum class Edge { kAny, kLoadBegins, kLoadEnds };

/// A stretch of time whose mean power is known: one refresh, or several of the same power.
struct Segment {
  double from, to;
  double mean;
  double dated_from = 0, dated_to = 0;  ///< half-widths of the moments
  double length() const { return to - from; }
};

/// Joules of the first `x` seconds of a segment, by the levels before and after it. Where the load changes at
/// that moment the level outside goes on up to it, and what is left of the segment's energy lies on the other
/// side. Else one step from the level before to the level after is put where the segment's energy wants it.
Part first_part(double before, const Segment& segment, double after, double x, Edge edge) {
  const double length = segment.length(), mean = segment.mean, whole = mean * length;
  double one_step = mean * x;
  if (before != after && (before - mean) * (mean - after) >= 0) {
    const double until = length * (mean - after) / (before - after);
    one_step = before * std::min(x, until) + after * std::max(0.0, x - until);
  }
  const auto [least, most] = std::minmax({before, mean, after});
  Part part{one_step, kShape * (most - least) * x * (length - x) / length};
  if (edge == Edge::kAny) return part;
  part.joules = edge == Edge::kLoadBegins ? std::clamp(before * x, 0.0, whole)
                                          : std::clamp(whole - after * (length - x), 0.0, whole);
  part.half = kOtherWay * std::abs(part.joules - one_step);
  return part;
}

/// Energy from the beginning of the first segment up to `time`, which lies in one of them.
Part energy_until(std::span<const Segment> segments, double time, Edge edge) {
  double joules = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = segments[i];
    if (time >= segment.to && i + 1 < segments.size()) {
      joules += segment.mean * segment.length();
      continue;
    }
    const double x = std::clamp(time - segment.from, 0.0, segment.length());
    const double before = i > 0 ? segments[i - 1].mean : segment.mean;
    const double after = i + 1 < segments.size() ? segments[i + 1].mean : segment.mean;
    const Part part = first_part(before, segment, after, x, edge);
    // The moments of the segment's ends are known to a poll; the nearer one weighs more.
    const double share = segment.length() > 0 ? x / segment.length() : 0;
    const double dated = std::hypot(segment.dated_from * (1 - share), segment.dated_to * share);
    return {joules + part.joules, std::hypot(part.half, kUniform * dated * segment.mean)};
  }
  return {joules, 0};
}

/// The changes that tell of a window: from two before it to three after it.
std::span<const Change> around(std::span<const Change> changes, double begin, double end) {
  const auto later = [](double t, const Change& change) { return t < change.time; };
  auto first = std::upper_bound(changes.begin(), changes.end(), begin, later);
  auto last = std::upper_bound(first, changes.end(), end, later);
  first -= std::min<ptrdiff_t>(3, first - changes.begin());
  last += std::min<ptrdiff_t>(3, changes.end() - last);
  return {first, last};
}

/// Half of what 95 of 100 differences of two counts lie in: where a count is cut to whole steps at both ends,
/// the difference of both errors is triangular over one step to either side.
double resolution_of(const Channel& channel, const History& history) {
  return std::max(channel.unit, (1 - std::sqrt(0.05)) * history.resolution);
}

WindowEnergy begun(const Channel& channel, const History& history, double begin, double end) {
  WindowEnergy window;
  window.seconds = end - begin;
  window.refresh_seconds = history.refresh;
  window.random = resolution_of(channel, history);
  return window;
}

/// When a counter that shows a new value was renewed: at most one refresh before the reading.
double age(const Change& change, double refresh) {
  const double unread = change.time - change.since;
  return refresh > 0 ? std::min(unread, refresh) : unread;
}

WindowEnergy counter_window(const Channel& channel, const History& history, double begin, double end,
                            Edges edges) {
  const std::span<const Change> changes = around(history.changes, begin, end);
  std::vector<Segment> segments;
  const auto moment = [&](const Change& change) { return change.time - age(change, history.refresh) / 2; };
  double fastest = 0;
  for (size_t i = 1; i < changes.size(); ++i) {
    const double from = moment(changes[i - 1]), to = moment(changes[i]);
    if (to <= from) continue;
    const double joules = changes[i].value - changes[i - 1].value;
    segments.push_back({from, to, joules / (to - from), age(changes[i - 1], history.refresh) / 2,
                        age(changes[i], history.refresh) / 2});
    fastest = std::max(fastest, segments.back().mean);
  }
  WindowEnergy window = begun(channel, history, begin, end);
  if (segments.empty()) return window;
  // What is not shown yet is at most one refresh, in which the power is taken to go on.
  const double shown = segments.back().to;
  double open = 0;
  if (end > shown) {
    const double ahead = std::min(end - shown, std::max(history.refresh, 0.0));
    const double rate = segments.back().mean;
    open = std::max(rate, fastest - rate) * ahead;
    segments.push_back({shown, shown + std::max(ahead, 1e-9), rate});
  }
  const bool load = edges == Edges::kOfTheLoad;
  const Part first = energy_until(segments, begin, load ? Edge::kLoadBegins : Edge::kAny);
  const Part last = energy_until(segments, end, load ? Edge::kLoadEnds : Edge::kAny);
  const double resolution = resolution_of(channel, history);
  window.joules = std::max(0.0, last.joules - first.joules);
  window.random = std::hypot(std::hypot(first.half, last.half), open, resolution);
  window.quantum_joules =
      std::max(resolution, history.refresh * window.joules / std::max(window.seconds, 1e-9));
  return window;
}

double appeared(const Change& change) {
  return (change.time + change.since) / 2;
}

/// A reading is the mean of the refresh that ended when it appeared; one that repeats is not seen, so a value
/// holds until the refresh of the next other one begins.
std::vector<Segment> segments_of_means(std::span<const Change> changes, const History& history, double begin,
                                       double end) {
  const double refresh = history.refresh;
  std::vector<Segment> segments;
  const auto add = [&](double from, double to, const Change& change) {
    if (to > from + 1e-6 * refresh) segments.push_back({from, to, change.value});
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    const double first_end = appeared(changes[i]);
    const double from = i == 0 ? std::min(begin, first_end) - 3 * refresh : first_end - refresh;
    const double until = i + 1 < changes.size() ? appeared(changes[i + 1]) - refresh
                                                : std::max(end, history.last_read) + refresh;
    // The first refresh, the last one and those in between stand apart: an edge is in one of them. What is
    // left of less than half a refresh comes from the dating of the moments.
    add(from, first_end, changes[i]);
    if (until > first_end + 1.5 * refresh) add(first_end, until - refresh, changes[i]);
    if (until > first_end + 0.5 * refresh) add(std::max(first_end, until - refresh), until, changes[i]);
  }
  // Moments that are dated badly may overlap by a little.
  for (size_t i = 1; i < segments.size(); ++i) segments[i].from = segments[i - 1].to;
  std::erase_if(segments, [](const Segment& segment) { return segment.length() <= 0; });
  return segments;
}

WindowEnergy mean_power_window(const Channel& channel, const History& history, double begin, double end,
                               Edges edges) {
  const double refresh = history.refresh;
  const std::span<const Change> changes = around(history.changes, begin, end + refresh);
  const std::vector<Segment> segments = segments_of_means(changes, history, begin, end);
  const bool load = edges == Edges::kOfTheLoad;
  const Part first = energy_until(segments, begin, load ? Edge::kLoadBegins : Edge::kAny);
  const Part last = energy_until(segments, end, load ? Edge::kLoadEnds : Edge::kAny);
  WindowEnergy window = begun(channel, history, begin, end);
  window.joules = std::max(0.0, last.joules - first.joules);
  double variance = std::pow(first.half / 1.96, 2) + std::pow(last.half / 1.96, 2), steepest = 0;
  for (size_t i = 1; i < changes.size(); ++i) {
    if (changes[i].time < begin - refresh || changes[i].time > end + 2 * refresh) continue;
    const double step = std::abs(changes[i].value - changes[i - 1].value);
    variance += std::pow(step * (changes[i].time - changes[i].since), 2) / 12;
    steepest = std::max(steepest, step);
  }
  // Readings of the last refresh may still be on their way.
  const double since_last = history.last_read - appeared(changes.back());
  const double known = appeared(changes.back()) + std::floor(std::max(0.0, since_last) / refresh) * refresh;
  const double unknown = std::clamp(end - std::max(known, history.last_read - refresh), 0.0, 2 * refresh);
  window.random =
      std::hypot(1.96 * std::sqrt(variance), steepest * unknown) + channel.unit * window.seconds / 2;
  window.quantum_joules = window.joules / std::max(window.seconds, 1e-9) * refresh;
  return window;
}

/// The least difference of two values that readings had: at least the step in which they move.
double granularity(std::span<const Change> changes) {
  std::vector<double> values;
  for (const Change& change : changes) values.push_back(change.value);
  std::ranges::sort(values);
  double least = INFINITY;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] > values[i - 1]) least = std::min(least, values[i] - values[i - 1]);
  }
  return least;
}

/// Half-width (95 %) of a reading, relative to it, from the usual difference of two that follow each other:
/// noise of the instrument, or of a load that is seen at single moments. Few differences tell it badly, which
/// Student's t stands for.
struct Noise {
  double deviation = 0, half = 0;
};
Noise relative_noise(const History& history, double unit, double begin, double end, Edges edges) {
  const std::span<const Change> changes = history.changes;
  std::vector<double> differences;
  for (size_t i = changes.size() > 200 ? changes.size() - 199 : 1; i < changes.size(); ++i) {
    const double middle = (changes[i].value + changes[i - 1].value) / 2;
    // The steps at which the load begins and ends are no noise.
    const auto spans = [&](double edge) { return changes[i - 1].time <= edge && edge < changes[i].time; };
    const bool own = edges == Edges::kOfTheLoad && (spans(begin) || spans(end));
    if (middle > 0 && !own) differences.push_back(std::abs(changes[i].value - changes[i - 1].value) / middle);
    // Readings that repeat differ by nothing: a steady load has steps, and no noise.
    const double refreshes = (changes[i].time - changes[i - 1].time) / history.refresh;
    const auto repeated = static_cast<size_t>(std::clamp(std::round(refreshes) - 1, 0.0, 200.0));
    differences.insert(differences.end(), repeated, 0.0);
  }
  const size_t n = differences.size();
  if (n < 3) return {};
  const double deviation = median(differences) / normal_quantile(0.75) / std::sqrt(2.0);
  // Noise seldom repeats a reading: within one step of the readings, at the density of a difference of zero.
  // Readings that repeat more often than that differ by steps of the load, which are counted by themselves.
  const auto repeats = static_cast<double>(std::ranges::count(differences, 0.0));
  const double by_chance = std::max(unit, granularity(changes)) /
                           (2 * std::sqrt(std::numbers::pi) * deviation * changes.back().value);
  if (repeats > 0 &&
      beta_cdf(std::min(1.0, by_chance), repeats, static_cast<double>(n) - repeats + 1) < kChance)
    return {};
  return {deviation, deviation * student_t_quantile(0.975, kMedianWorth * static_cast<double>(n))};
}

/// Power between two readings that differ: the step lies anywhere within the refresh before the later one
/// appeared, or at an edge of the load.
struct Step {
  double from, to;     ///< equal at an edge of the load
  double watts;        ///< how much more after it
  double dated = 0;    ///< seconds within which the moment of the later reading is known
  double late = 0;     ///< how much later than a refresh after the edge it came, where that is not known
  bool noise = false;  ///< no step: within the scatter of readings
};
std::vector<Step> steps_of(std::span<const Change> changes, const History& history, double begin, double end,
                           Edges edges) {
  std::vector<Step> steps;
  for (size_t i = 1; i < changes.size(); ++i) {
    const double to = appeared(changes[i]);
    steps.push_back({std::max(to - history.refresh, appeared(changes[i - 1])), to,
                     changes[i].value - changes[i - 1].value, changes[i].time - changes[i].since});
  }
  if (edges == Edges::kAny) return steps;
  for (const double edge : {begin, end}) {
    const double next = edge == begin ? end : INFINITY;
    const auto first = std::ranges::find_if(steps, [edge](const Step& step) { return step.to > edge; });
    if (first == steps.end()) continue;
    const double waited = first->to - edge, slack = 0.05 * history.refresh + first->dated;
    if (waited > history.refresh + slack && (history.learnt || first->to > next)) continue;
    first->late = edge == begin ? std::max(0.0, waited - std::max(history.refresh, kLatest) - slack) : 0;
    first->from = first->to = edge;
  }
  return steps;
}

/// Joules that a step adds between two moments, as expected where its own moment is anywhere from `from` to
/// `to`.
Part added_by(const Step& step, double begin, double end) {
  const double length = step.to - step.from;
  const double after = std::max(0.0, end - std::max(begin, step.to));
  Part part{step.watts * after};
  const double x = length > 0 ? std::clamp((begin - step.from) / length, 0.0, 1.0) : 0;
  const double y = length > 0 ? std::clamp((end - step.from) / length, 0.0, 1.0) : 0;
  if (y <= x) return part;
  // Of the stretch the part from x to y is in the window. What of it comes after the step is all with the
  // probability x, nothing with 1 - y, else uniform.
  const double share = y - x, mean = x * share + share * share / 2;
  const double variance = x * share * share + share * share * share / 3 - mean * mean;
  part.joules += step.watts * length * mean;
  part.half =
      1.96 * std::abs(step.watts) * std::hypot(length, step.dated) * std::sqrt(std::max(0.0, variance));
  return part;
}

/// How much more the steps leave open than each by itself, where in `share` of the refreshes the load is seen
/// to have changed: a load that steps at random moments steps unseen too. Its readings are correlated by
/// exp(-x), x = -log(1 - share) changes a refresh, and the sum of such readings is off its integral by
/// (coth(x / 2) - 2 / x) refreshes squared times their variance (Cochran 1946, of systematic samples), which
/// is 1 / 12 of their squared steps where x is small, and as much as of independent readings where it is
/// large: a factor from 1 to 6.
double unseen_steps(double share) {
  if (share < 1e-3) return 1;
  if (share >= 1) return 6;
  return 6 * ((2 - share) / share + 2 / std::log1p(-share)) / share;
}

WindowEnergy momentary_window(const Channel& channel, const History& history, double begin, double end,
                              Edges edges) {
  const double refresh = history.refresh;
  const std::span<const Change> changes = around(history.changes, begin, end + refresh);
  const Noise noise = relative_noise(history, channel.unit, begin, end, edges);
  WindowEnergy window = begun(channel, history, begin, end);
  window.joules = changes.front().value * window.seconds;
  double squares = 0, steepest = 0, poll = 0, late = 0, seen = 0;
  const std::vector<Step> steps = steps_of(changes, history, begin, end, edges);
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const Part part = added_by(step, begin, end);
    window.joules += part.joules;
    if (step.from == step.to) {
      late += std::abs(step.watts) * step.late;
      continue;
    }
    const double middle = (changes[i].value + changes[i + 1].value) / 2;
    const bool near = step.to > begin && step.from < end;
    if (near) steepest = std::max(steepest, std::abs(step.watts)), poll = std::max(poll, step.dated);
    if (!near || std::abs(step.watts) <= kStep * std::sqrt(2.0) * noise.deviation * middle) continue;
    squares += part.half * part.half;
    ++seen;
  }
  // Between the readings of the window, and, where its edges are not the load's, across them.
  const double chances = window.seconds / std::max(refresh, poll) - (edges == Edges::kOfTheLoad ? 1 : 0);
  squares *= unseen_steps(seen / std::max({chances, seen, 1.0}));
  // Each reading of the stretch has a noise of its own.
  const double power = window.joules / std::max(window.seconds, 1e-9);
  const double scatter = std::pow(noise.half * power, 2) * window.seconds * refresh;
  // A step as large as the steepest may still be on its way.
  const double open = history.last_read < end + refresh ? steepest * std::max(refresh, poll) / 2 : 0;
  window.random = std::hypot(std::sqrt(squares + scatter), open, late) + channel.unit * window.seconds / 2;
  window.quantum_joules = power * std::max(refresh, poll);
  return window;
}

/// Why power readings cannot tell of a window as short as this; empty where they can.
std::string too_short(const Channel& channel, const History& history, double begin, double end, Edges edges) {
  const double seconds = end - begin;
  if (seconds < history.refresh * 0.98 && (history.learnt || edges == Edges::kOfTheLoad)) {
    return fmt::format(
        "{} shows a new reading every {:.3g} s{}, and the window has {:.3g} s; measure for at least {:.3g} "
        "s, for "
        "example by more repetitions",
        channel.name, history.refresh, history.learnt ? "" : " or more slowly (not known yet)", seconds,
        2 * history.refresh);
  }
  if (history.learnt || edges == Edges::kAny || seconds > kLongestRefresh) return "";
  const bool renewed =
      std::any_of(history.changes.begin() + 1, history.changes.end(),
                  [&](const Change& change) { return change.time > begin && change.since < end; });
  if (renewed) return "";
  return fmt::format(
      "{} has shown nothing new in the {:.3g} s of the window, and how often it is renewed is not known; "
      "measure "
      "for over {:.3g} s",
      channel.name, seconds, kLongestRefresh);
}

}  // namespace

WindowEnergy window_energy(const Channel& channel, const History& history, double begin, double end,
                           Edges edges) {
  WindowEnergy window;
  if (channel.kind == Channel::Kind::kEnergy) {
    window = counter_window(channel, history, begin, end, edges);
  } else {
    window = channel.averaged ? mean_power_window(channel, history, begin, end, edges)
                              : momentary_window(channel, history, begin, end, edges);
    window.invalid = too_short(channel, history, begin, end, edges);
  }
  window.gain = channel.accuracy * window.joules;
  return window;
}

}  // namespace wattle::inline meter
