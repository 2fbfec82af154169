#include "report/raw_figures.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include <wattle/error.h>

#include "statistics/descriptive.h"
#include "statistics/distributions.h"

namespace wattle::inline report {
namespace {

constexpr double kNormal95 = 1.96;
// The constants of docs/meter.md, once more: a check that read the meter's own would follow its mistakes.
constexpr double kDoubtOfShape = 0.8;
constexpr double kLeastLoad = 0.07;
constexpr double kChanceOfRepeats = 0.01, kWorthOfMedian = 0.7, kStepDeviations = 4;
constexpr size_t kMostChangesOfNoise = 200;

/// A value that a channel showed at `time` and did not show yet at `before`: joules since the first sample,
/// or watts.
struct Shown {
  double time, before, value;
  double middle() const { return (time + before) / 2; }
  double unseen() const { return time - before; }
};

bool is_plausible(const RawChannel& channel, const RawReading& reading) {
  return reading.ok && (!channel.is_power || (reading.watts >= 0 && reading.watts <= channel.max_watts));
}

/// The counts' step as joules; negative where the counter went back or jumped.
double step_of(const RawChannel& channel, uint64_t from, uint64_t to, double seconds) {
  double counts = to >= from ? static_cast<double>(to - from) : -static_cast<double>(from - to);
  if (counts < 0) counts += channel.wrap_counts;
  const double joules = counts * channel.unit;
  const double most = channel.max_watts * std::max(seconds + channel.refresh, 0.05) + 2 * channel.unit;
  return joules > most && channel.scope != "wall" ? -1 : joules;
}

std::vector<Shown> shown_by(const RawChannel& channel) {
  std::vector<Shown> shown;
  double joules = 0;
  const RawReading* last = nullptr;
  double asked = 0;
  for (const RawReading& reading : channel.readings) {
    const double before = asked;
    asked = reading.time;
    if (!is_plausible(channel, reading)) {
      last = nullptr;
      continue;
    }
    if (last == nullptr) {
      shown.push_back({reading.time, reading.time, channel.is_power ? reading.watts : joules});
    } else if (channel.is_power) {
      if (reading.watts != last->watts) shown.push_back({reading.time, before, reading.watts});
    } else if (reading.counts != last->counts) {
      joules +=
          std::max(0.0, step_of(channel, last->counts, reading.counts, reading.time - shown.back().time));
      shown.push_back({reading.time, before, joules});
    }
    last = &reading;
  }
  return shown;
}

/// From the third value before a stretch of time to the third after it.
std::vector<Shown> near(const std::vector<Shown>& shown, double begin, double end) {
  const auto count_until = [&](double time) {
    return static_cast<size_t>(
        std::ranges::count_if(shown, [time](const Shown& one) { return one.time <= time; }));
  };
  const size_t until_begin = count_until(begin), until_end = std::max(until_begin, count_until(end));
  const size_t first = until_begin - std::min<size_t>(3, until_begin);
  const size_t last = std::min(shown.size(), until_end + 3);
  return {shown.begin() + static_cast<ptrdiff_t>(first), shown.begin() + static_cast<ptrdiff_t>(last)};
}

/// Joules with a half-width.
struct Known {
  double joules = 0, half = 0;
};

/// Power over time as pieces of a known mean; `*_off` are half-widths of the moments at which a piece begins
/// and ends.
class Course {
 public:
  struct Piece {
    double from, to, watts, from_off, to_off;
    double seconds() const { return to - from; }
  };

  void add(const Piece& piece) { pieces_.push_back(piece); }
  bool empty() const { return pieces_.empty(); }
  const Piece& last() const { return pieces_.back(); }
  double greatest() const {
    double watts = 0;
    for (const Piece& piece : pieces_) watts = std::max(watts, piece.watts);
    return watts;
  }
  /// Moments that are dated badly overlap: each piece begins where the one before it ends.
  void join() {
    for (size_t i = 1; i < pieces_.size(); ++i) pieces_[i].from = pieces_[i - 1].to;
    std::erase_if(pieces_, [](const Piece& piece) { return piece.seconds() <= 0; });
  }

  /// Of a stretch of time: the doubts of both edges, in quadrature.
  Known between(double begin, double end) const {
    const Known first = until(begin), last = until(end);
    return {std::max(0.0, last.joules - first.joules), std::hypot(first.half, last.half)};
  }

 private:
  /// From the beginning of the first piece. Within a piece the power steps once from that of the piece before
  /// to that of the piece after it, when the piece's energy wants it to.
  Known until(double time) const {
    size_t at = 0;
    double joules = 0;
    for (; at + 1 < pieces_.size() && time >= pieces_[at].to; ++at)
      joules += pieces_[at].watts * pieces_[at].seconds();
    const Piece& piece = pieces_[at];
    const double before = pieces_[at > 0 ? at - 1 : at].watts;
    const double after = pieces_[at + 1 < pieces_.size() ? at + 1 : at].watts;
    const double seconds = piece.seconds(), x = std::clamp(time - piece.from, 0.0, seconds);
    const bool lies_between = before != after && (before - piece.watts) * (piece.watts - after) >= 0;
    const double steps_at = lies_between ? seconds * (piece.watts - after) / (before - after) : 0;
    joules +=
        lies_between ? before * std::min(x, steps_at) + after * std::max(0.0, x - steps_at) : piece.watts * x;
    const double swing = std::max({before, piece.watts, after}) - std::min({before, piece.watts, after});
    const double of_shape = seconds > 0 ? kDoubtOfShape * swing * x * (seconds - x) / seconds : 0;
    const double share = seconds > 0 ? x / seconds : 0;
    const double off = std::hypot(piece.from_off * (1 - share), piece.to_off * share);
    return {joules, std::hypot(of_shape, kNormal95 / std::sqrt(3.0) * off * piece.watts)};
  }

  std::vector<Piece> pieces_;
};

/// A counter cut to whole steps at both ends.
double steps_of_counter(const RawChannel& channel) {
  return std::max(channel.unit, (1 - std::sqrt(0.05)) * channel.resolution);
}

Known of_counter(const RawChannel& channel, double begin, double end) {
  const std::vector<Shown> shown = near(shown_by(channel), begin, end);
  // A counter that shows something new was renewed one refresh before at the earliest.
  const auto age = [&](const Shown& one) {
    return channel.refresh > 0 ? std::min(one.unseen(), channel.refresh) : one.unseen();
  };
  Course course;
  for (size_t i = 1; i < shown.size(); ++i) {
    const double off[2] = {age(shown[i - 1]) / 2, age(shown[i]) / 2};
    const double from = shown[i - 1].time - off[0], to = shown[i].time - off[1];
    if (to > from)
      course.add({from, to, (shown[i].value - shown[i - 1].value) / (to - from), off[0], off[1]});
  }
  const double steps = steps_of_counter(channel);
  if (course.empty()) return {0, steps};
  double open = 0;
  if (const Course::Piece last = course.last(); end > last.to) {
    const double ahead = std::min(end - last.to, std::max(channel.refresh, 0.0));
    open = std::max(last.watts, course.greatest() - last.watts) * ahead;
    course.add({last.to, last.to + std::max(ahead, 1e-9), last.watts, 0, 0});
  }
  const Known known = course.between(begin, end);
  return {known.joules, std::hypot(known.half, open, steps)};
}

/// A mean covers the refresh before its moment; one that repeats holds until the next one's refresh begins.
Course course_of_means(const std::vector<Shown>& shown, double refresh, double begin, double end) {
  Course course;
  const auto add = [&](double from, double to, double watts) {
    if (to > from + 1e-6 * refresh) course.add({from, to, watts, 0, 0});
  };
  for (size_t i = 0; i < shown.size(); ++i) {
    const double own_end = shown[i].middle(), watts = shown[i].value;
    const double from = i > 0 ? own_end - refresh : std::min(begin, own_end) - 3 * refresh;
    const double until = i + 1 < shown.size() ? shown[i + 1].middle() - refresh : end + refresh;
    add(from, own_end, watts);
    if (until > own_end + 1.5 * refresh) add(own_end, until - refresh, watts);
    if (until > own_end + 0.5 * refresh) add(std::max(own_end, until - refresh), until, watts);
  }
  course.join();
  return course;
}

Known of_means(const RawChannel& channel, double begin, double end) {
  const double refresh = channel.refresh, last_read = channel.readings.back().time;
  const std::vector<Shown> shown = near(shown_by(channel), begin, end + refresh);
  const Known known = course_of_means(shown, refresh, begin, std::max(end, last_read)).between(begin, end);
  double variance = std::pow(known.half / kNormal95, 2), steepest = 0;
  for (size_t i = 1; i < shown.size(); ++i) {
    if (shown[i].time < begin - refresh || shown[i].time > end + 2 * refresh) continue;
    const double step = std::abs(shown[i].value - shown[i - 1].value);
    variance += std::pow(step * shown[i].unseen(), 2) / 12;
    steepest = std::max(steepest, step);
  }
  const double newest = shown.back().middle();
  const double told = newest + std::floor(std::max(0.0, last_read - newest) / refresh) * refresh;
  const double untold = std::clamp(end - std::max(told, last_read - refresh), 0.0, 2 * refresh);
  return {known.joules,
          std::hypot(kNormal95 * std::sqrt(variance), steepest * untold) + channel.unit * (end - begin) / 2};
}

/// How readings of momentary power scatter, relative to them: a deviation, and the half-width of one.
struct Scatter {
  double deviation = 0, half = 0;
};

Scatter scatter_of(const std::vector<Shown>& shown, const RawChannel& channel) {
  std::vector<double> differences, values;
  for (const Shown& one : shown) values.push_back(one.value);
  for (size_t i = shown.size() > kMostChangesOfNoise ? shown.size() - kMostChangesOfNoise + 1 : 1;
       i < shown.size(); ++i) {
    const double middle = (shown[i].value + shown[i - 1].value) / 2;
    if (middle > 0) differences.push_back(std::abs(shown[i].value - shown[i - 1].value) / middle);
    const double refreshes = std::round((shown[i].time - shown[i - 1].time) / channel.refresh);
    differences.insert(differences.end(), static_cast<size_t>(std::clamp(refreshes - 1, 0.0, 200.0)), 0.0);
  }
  const auto n = static_cast<double>(differences.size());
  if (n < 3) return {};
  std::ranges::sort(values);
  double finest = INFINITY;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] != values[i - 1]) finest = std::min(finest, values[i] - values[i - 1]);
  }
  const double deviation = median(differences) / (normal_quantile(0.75) * std::numbers::sqrt2);
  const double repeats = static_cast<double>(std::ranges::count(differences, 0.0));
  const double density =
      std::max(channel.unit, finest) / (2 * std::sqrt(std::numbers::pi) * deviation * shown.back().value);
  const bool are_steps =
      repeats > 0 && beta_cdf(std::min(1.0, density), repeats, n - repeats + 1) < kChanceOfRepeats;
  if (are_steps) return {};
  return {deviation, deviation * student_t_quantile(0.975, kWorthOfMedian * n)};
}

/// Cochran's (1946) factor of systematic samples, of which `share` show a step.
double factor_of_unseen(double share) {
  if (share < 1e-3) return 1;
  if (share >= 1) return 6;
  const double x = -std::log1p(-share);
  return 6 * ((2 - share) / share - 2 / x) / share;
}

/// What a step of one watt adds between two moments, where it lies anywhere between `from` and `to`: mean and
/// deviation, in seconds.
struct StepTime {
  double mean = 0, deviation = 0;
};
StepTime seconds_after(double from, double to, double begin, double end) {
  const double length = to - from;
  StepTime time{std::max(0.0, end - std::max(begin, to)), 0};
  if (!(length > 0)) return time;
  const double x = std::clamp((begin - from) / length, 0.0, 1.0),
               y = std::clamp((end - from) / length, 0.0, 1.0);
  const double s = y - x;
  if (s <= 0) return time;
  const double mean = s * x + s * s / 2, square = s * s * x + s * s * s / 3;
  time.mean += length * mean;
  time.deviation = std::sqrt(std::max(0.0, square - mean * mean));
  return time;
}

Known of_moments(const RawChannel& channel, double begin, double end) {
  const std::vector<Shown> all = shown_by(channel);
  const double refresh = channel.refresh, seconds = end - begin;
  const std::vector<Shown> shown = near(all, begin, end + refresh);
  const Scatter scatter = scatter_of(all, channel);
  double joules = shown.front().value * seconds, squares = 0, steepest = 0, poll = 0, seen = 0;
  for (size_t i = 1; i < shown.size(); ++i) {
    const double to = shown[i].middle(), from = std::max(to - refresh, shown[i - 1].middle());
    const double watts = shown[i].value - shown[i - 1].value;
    const StepTime time = seconds_after(from, to, begin, end);
    joules += watts * time.mean;
    const bool is_near = from != to && to > begin && from < end;
    if (!is_near) continue;
    steepest = std::max(steepest, std::abs(watts)), poll = std::max(poll, shown[i].unseen());
    const double middle = (shown[i].value + shown[i - 1].value) / 2;
    if (std::abs(watts) <= kStepDeviations * std::numbers::sqrt2 * scatter.deviation * middle) continue;
    squares += std::pow(kNormal95 * watts * std::hypot(to - from, shown[i].unseen()) * time.deviation, 2);
    ++seen;
  }
  squares *= factor_of_unseen(seen / std::max({seconds / std::max(refresh, poll), seen, 1.0}));
  const double watts = joules / std::max(seconds, 1e-9);
  const double of_noise = std::pow(scatter.half * watts, 2) * seconds * refresh;
  const bool may_come = channel.readings.back().time < end + refresh;
  const double open = may_come ? steepest * std::max(refresh, poll) / 2 : 0;
  return {joules, std::hypot(std::sqrt(squares + of_noise), open) + channel.unit * seconds / 2};
}

Known of_channel(const RawChannel& channel, double begin, double end) {
  const auto tells = [&](const RawReading& reading) { return is_plausible(channel, reading); };
  if (std::ranges::none_of(channel.readings, tells)) return {};
  if (!channel.is_power) return of_counter(channel, begin, end);
  return channel.averaged ? of_means(channel, begin, end) : of_moments(channel, begin, end);
}

/// One source between two moments. Gains add within a scope, and in quadrature between scopes.
RawFigure of_stretch(const RawStretch& stretch) {
  RawFigure figure;
  std::map<std::string, double> gains;
  double squares = 0;
  for (const RawChannel& channel : stretch.channels) {
    const Known known = of_channel(channel, stretch.begin, stretch.end);
    figure.joules += known.joules;
    gains[channel.scope] += channel.accuracy * known.joules;
    squares += known.half * known.half;
    for (const RawReading& reading : channel.readings) {
      if (reading.time > stretch.begin && reading.time <= stretch.end && !is_plausible(channel, reading))
        figure.unread = channel.name;
    }
  }
  double squared_gain = 0;
  for (const auto& [scope, gain] : gains) squared_gain += gain * gain;
  figure.systematic = std::sqrt(squared_gain), figure.resolution = std::sqrt(squares);
  const double half = std::sqrt(squared_gain + squares);
  figure.low = std::max(0.0, figure.joules - half), figure.high = figure.joules + half;
  figure.seconds = stretch.end - stretch.begin;
  return figure;
}

RawFigure of_source(const RawSource& source) {
  RawFigure figure = of_stretch(source.window);
  figure.source = source.name;
  if (!source.idle) return figure;
  const RawFigure idle = of_stretch(*source.idle);
  const double times = figure.seconds / idle.seconds;
  figure.idle_known = true;
  figure.idle = idle.joules * times, figure.idle_half = idle.resolution * times;
  return figure;
}

RawFigure of_model(const RawModel& model) {
  RawFigure figure;
  figure.is_modelled = true, figure.source = model.source, figure.seconds = model.seconds;
  const double most = model.threads * model.seconds;
  if (!model.log_watts.empty()) {
    double logarithm = 0;
    for (const auto& [coefficient, feature] : model.log_watts) logarithm += coefficient * feature;
    const double load = model.busy_seconds / std::max(most, 1e-9);
    figure.joules = model.seconds * std::exp(logarithm);
    figure.low = load < kLeastLoad ? 0 : figure.joules / std::exp(model.log_half_width);
    figure.high = figure.joules * std::exp(model.log_half_width);
    return figure;
  }
  double below = 0, above = 0;
  const std::vector<double> amounts = amounts_of(model);
  for (size_t i = 0; i < amounts.size(); ++i) {
    const RawModel::Range& one = model.parameters.at(i);
    figure.joules += amounts[i] * one.value;
    below += std::pow(amounts[i] * (one.value - one.low), 2),
        above += std::pow(amounts[i] * (one.high - one.value), 2);
  }
  figure.low = figure.joules - std::sqrt(below), figure.high = figure.joules + std::sqrt(above);
  const RawModel::Range& idle = model.parameters.at(ModelTerm::kIdle);
  figure.idle_known = true, figure.idle = most * idle.value;
  figure.idle_half = most * std::max(idle.value - idle.low, idle.high - idle.value);
  return figure;
}

/// Of sources that saw the same time: nothing of their errors is shared.
RawFigure together(const RawFigure& a, const RawFigure& b) {
  const auto parts = [](const RawFigure& figure, double half, double* repeats) {
    *repeats = figure.is_modelled ? half : std::min(figure.systematic, half);
    return half * half - *repeats * *repeats;
  };
  const auto half = [&](double of_a, double of_b) {
    double repeats[2];
    const double alone =
        std::max(0.0, parts(a, of_a, &repeats[0])) + std::max(0.0, parts(b, of_b, &repeats[1]));
    return std::sqrt(repeats[0] * repeats[0] + repeats[1] * repeats[1] + alone);
  };
  RawFigure sum;
  sum.joules = a.joules + b.joules;
  sum.low = std::max(0.0, sum.joules - half(a.joules - a.low, b.joules - b.low));
  sum.high = sum.joules + half(a.high - a.joules, b.high - b.joules);
  sum.systematic = std::hypot(a.systematic, b.systematic),
  sum.resolution = std::hypot(a.resolution, b.resolution);
  sum.idle_known = a.idle_known && b.idle_known;
  sum.idle = a.idle + b.idle, sum.idle_half = std::hypot(a.idle_half, b.idle_half);
  sum.seconds = std::max(a.seconds, b.seconds);
  sum.is_modelled = a.is_modelled || b.is_modelled;
  sum.source = a.source + "+" + b.source;
  sum.unread = a.unread.empty() ? b.unread : a.unread;
  return sum;
}

}  // namespace

std::vector<double> amounts_of(const RawModel& model) {
  if (model.parameters.empty()) return {};
  const double most = model.threads * model.seconds, busy = std::min(model.busy_seconds, most);
  return {most - busy, busy, model.macs_int8, model.macs_bf16, model.macs_fp32, model.bytes};
}

RawFigure figure_of(const RawWindow& window) {
  std::vector<RawFigure> figures;
  for (const RawSource& source : window.sources) figures.push_back(of_source(source));
  if (window.model) figures.push_back(of_model(*window.model));
  if (figures.empty()) fail("the raw samples hold no source and no model");
  RawFigure sum = figures.front();
  for (size_t i = 1; i < figures.size(); ++i) sum = together(sum, figures[i]);
  return sum;
}

}  // namespace wattle::inline report
