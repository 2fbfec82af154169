#include "meter/recorder.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace wattle {
namespace {

constexpr double kDefaultPeriod = 0.1;  // 10 Hz
constexpr double kShortestPeriod = 0.01;
/// A power reading may be held for so long without another; beyond, the power may have been anything.
constexpr double kLongestHold = 5;
/// New readings of a slow power source are dated by polling it this often around the moment at which they are
/// expected.
constexpr double kDatingSteps = 50, kDatingPeriod = 0.02;
/// Sources renewed faster than this are polled twice a refresh all the time: there is nothing between two
/// expected moments to be left out.
constexpr double kShortestTracked = 4 * kDatingPeriod;
constexpr double kClockDrift = 0.005;  // of a refresh, for each refresh since the last new reading
constexpr double kLongestSettle = 3;
constexpr double kSuspended = 0.01;
constexpr size_t kChangesForRefresh = 12;

double quantile(std::vector<double> values, double share) {
  const auto at = values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size()));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

}  // namespace

Recorder::Recorder(Machine& machine, std::unique_ptr<Source> source)
    : machine_(machine),
      source_(std::move(source)),
      tracks_(source_->channels().size()),
      suspended_(machine.suspended_seconds()) {
  poll();
}

void Recorder::poll() {
  const std::lock_guard lock(mutex_);
  const double before = machine_.now();
  const std::vector<Reading> readings = source_->read();
  // Half-way between asking and answering: a plug over HTTP may take its time.
  const double now = (before + machine_.now()) / 2;
  note_silence(now);
  for (size_t i = 0; i < tracks_.size(); ++i) take(tracks_[i], source_->channels()[i], readings[i], now);
  if (listener_) listener_(*source_, now, readings);
}

void Recorder::note_gap(double begin, double end, const std::string& reason) {
  for (size_t i = 0; i < tracks_.size(); ++i) {
    if (tracks_[i].last_read >= 0)
      tracks_[i].gaps.push_back({begin, end, fmt::format("{} {}", source_->channels()[i].name, reason)});
  }
}

/// What happened between two rounds of readings that none of them can show: the machine slept, and its
/// counters may have done so too or begun anew; or no round came for so long that no power may be held.
void Recorder::note_silence(double now) {
  double previous = -1;
  bool power = false;
  for (size_t i = 0; i < tracks_.size(); ++i) {
    previous = std::max(previous, tracks_[i].last_read);
    power |= source_->channels()[i].kind == Channel::Kind::kPower;
  }
  const double suspended = machine_.suspended_seconds();
  if (suspended > suspended_ + kSuspended) {
    note_gap(
        previous, now,
        fmt::format("was not read while the machine was suspended for {:.1f} s", suspended - suspended_));
  } else if (power && previous >= 0 && now - previous > kLongestHold) {
    note_gap(previous, now,
             fmt::format("was not read for {:.1f} s, in which its power is not known", now - previous));
  }
  suspended_ = suspended;
}

void Recorder::set_listener(Listener listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

double Recorder::mark() {
  poll();
  const std::lock_guard lock(mutex_);
  double now = 0;
  for (const Track& track : tracks_) now = std::max(now, track.last_read);
  return now;
}

void Recorder::take(Track& track, const Channel& channel, const Reading& reading, double now) {
  const double previous = track.last_read;
  std::string problem = reading.problem.empty() ? "could not be read" : reading.problem;
  bool ok = reading.ok;
  if (ok && channel.kind == Channel::Kind::kPower &&
      !(reading.watts >= 0 && reading.watts <= channel.max_watts)) {
    ok = false;
    problem = fmt::format("reads {:.6g} W, which cannot be", reading.watts);
  }
  if (!ok) {
    if (track.gaps.empty() || track.gaps.back().end < previous || previous < 0) {
      track.gaps.push_back({previous < 0 ? now : previous, now, fmt::format("{} {}", channel.name, problem)});
    }
    track.gaps.back().end = now;
    track.alive = false;
    track.last_read = now;
    return;
  }
  if (!track.alive) {
    // First reading, or back after a gap that take() has noted: what the counter did meanwhile is not known.
    if (previous >= 0 && !track.gaps.empty()) track.gaps.back().end = now;
    track.alive = true;
    track.last_counts = reading.counts;
    const double value = channel.kind == Channel::Kind::kEnergy ? track.joules : reading.watts;
    track.changes.push_back({now, value, now});
    track.last_read = now;
    return;
  }
  if (channel.kind == Channel::Kind::kEnergy) {
    count(track, channel, reading, now);
  } else if (reading.watts != track.changes.back().value) {
    track.changes.push_back({now, reading.watts, previous});
    learn_refresh(track, channel.kind);
  }
  track.last_read = now;
}

void Recorder::count(Track& track, const Channel& channel, const Reading& reading, double now) {
  const double previous = track.last_read;
  const double seconds = now - previous;
  if (channel.wrap_counts > 0 && seconds * channel.max_watts > channel.wrap_counts * channel.unit) {
    track.gaps.push_back(
        {previous, now,
         fmt::format("{} was not read for {:.1f} s and may have wrapped twice", channel.name, seconds)});
  }
  double step = static_cast<double>(reading.counts) - static_cast<double>(track.last_counts);
  if (step < 0) step += channel.wrap_counts;
  track.last_counts = reading.counts;
  // A step stands for the time since the one before it, however late the counter was renewed.
  const double since_change = now - track.changes.back().time;
  const double most = channel.max_watts * std::max(since_change + track.refresh, 0.05) + 2 * channel.unit;
  if (step < 0 || (step * channel.unit > most && channel.scope != "wall")) {
    track.gaps.push_back({previous, now, fmt::format("{} went backwards or jumped", channel.name)});
    track.changes.push_back({now, track.joules, previous});
    return;
  }
  if (step == 0) return;
  track.joules += step * channel.unit;
  track.changes.push_back({now, track.joules, previous});
  learn_refresh(track, channel.kind);
}

/// The refresh period is the usual time between changes, where a reading in between showed the old value: two
/// polls that both show something new say only that it is renewed at least as often. Values of power may
/// repeat, by chance or because the load is steady: there the lower quartile is usual, and a gap counts as
/// the number of usual gaps that it holds.
void Recorder::learn_refresh(Track& track, Channel::Kind kind) {
  const size_t n = track.changes.size();
  const bool power = kind == Channel::Kind::kPower;
  if (n < (power ? 4 : 3) || n > 400) return;  // not known yet; does not change any more
  const size_t first = n > kChangesForRefresh ? n - kChangesForRefresh : 1;
  const auto appeared = [&](size_t i) { return (track.changes[i].time + track.changes[i].since) / 2; };
  std::vector<double> gaps, bounds;
  for (size_t i = first + 1; i < n; ++i) {
    const bool stood_still = track.changes[i].since > track.changes[i - 1].time;
    (stood_still ? gaps : bounds).push_back(appeared(i) - appeared(i - 1));
  }
  if (2 * gaps.size() < bounds.size()) {
    const double bound = quantile(bounds, 0.5);
    track.refresh = track.refresh > 0 ? std::min(track.refresh, bound) : bound;
    return;
  }
  const double usual = quantile(gaps, power ? 0.25 : 0.5);
  double seconds = 0, refreshes = 0;
  for (const double gap : gaps) seconds += gap, refreshes += std::max(1.0, std::round(gap / usual));
  track.refresh = power ? seconds / refreshes : usual;
}

void Recorder::infer_refresh(double seconds) {
  const double until = machine_.now() + seconds;
  double step = 0.0005;
  while (machine_.now() < until) {
    bool known = true;
    for (size_t i = 0; i < tracks_.size(); ++i) {
      known &= !source_->channels()[i].left_out.empty() || tracks_[i].changes.size() > 6;
    }
    if (known) return;
    machine_.sleep(step);
    poll();
    step = std::min(step * 1.1, 0.01);
  }
}

double Recorder::period() const {
  const std::lock_guard lock(mutex_);
  return usual_period();
}

double Recorder::usual_period() const {
  double period = kDefaultPeriod;
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const Channel& channel = source_->channels()[i];
    if (!channel.left_out.empty()) continue;
    if (channel.kind == Channel::Kind::kPower && tracks_[i].refresh > 0 &&
        tracks_[i].refresh < kShortestTracked)
      period = std::min({period, tracks_[i].refresh / 2, kDatingPeriod});
    if (channel.wrap_counts > 0)
      period = std::min(period, channel.wrap_counts * channel.unit / channel.max_watts / 4);
  }
  return std::max({period, kShortestPeriod, source_->shortest_period()});
}

double Recorder::seconds_to_next_poll() const {
  const std::lock_guard lock(mutex_);
  double last = 0;
  for (const Track& track : tracks_) last = std::max(last, track.last_read);
  double due = last + usual_period();
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const Channel& channel = source_->channels()[i];
    if (channel.kind == Channel::Kind::kPower && channel.left_out.empty() &&
        tracks_[i].refresh >= kShortestTracked)
      due = std::min(due, next_dating_poll(tracks_[i]));
  }
  return std::max({due - machine_.now(), kShortestPeriod, source_->shortest_period()});
}

/// When a source of power should be read next to date its next reading: from just before the moment at which
/// it is expected, step by step, until it has come or is two steps late.
double Recorder::next_dating_poll(const Track& track) const {
  const Point &last = track.changes.back(),
              &before = track.changes[std::max<size_t>(2, track.changes.size()) - 2];
  const double step = std::max(track.refresh / kDatingSteps, kDatingPeriod);
  const double appeared = (last.time + last.since) / 2;
  const double dated = (last.time - last.since + before.time - before.since) / 2;
  for (double refreshes = std::max(1.0, std::floor((track.last_read - appeared) / track.refresh));;
       ++refreshes) {
    const double expected = appeared + refreshes * track.refresh;
    const double early = dated + std::min(refreshes * kClockDrift * track.refresh, 2 * step);
    if (track.last_read >= expected + early + 2 * step) continue;
    return track.last_read < expected - early ? expected - early : track.last_read + step;
  }
}

double Recorder::seconds_to_settle() const {
  const std::lock_guard lock(mutex_);
  double seconds = 0;
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const Channel& channel = source_->channels()[i];
    if (!channel.left_out.empty() || channel.kind != Channel::Kind::kPower) continue;
    const double refresh = std::max(tracks_[i].refresh, kShortestPeriod);
    seconds = std::max(seconds, (channel.averaged ? 2 : 1) * refresh + kDefaultPeriod);
  }
  return std::min(seconds, kLongestSettle);
}

WindowEnergy Recorder::counter_window(const Track& track, const Channel& channel, double begin,
                                      double end) const {
  const std::vector<Point>& changes = track.changes;
  // The counter shows energy up to its last refresh. Between two changes the truth lies between their values,
  // because energy only grows: that bound needs no model of the load.
  const auto value_at = [&](double time) {
    const auto after = std::upper_bound(changes.begin(), changes.end(), time,
                                        [](double t, const Point& point) { return t < point.time; });
    struct Bracket {
      double estimate, low, high;
    } bracket{};
    if (after == changes.begin()) {
      bracket = {changes.front().value, changes.front().value, changes.front().value};
      return bracket;
    }
    const Point& last = *(after - 1);
    if (after != changes.end()) {
      const double span = after->time - last.time;
      const double share = span > 0 ? (time - last.time) / span : 0;
      bracket = {last.value + share * (after->value - last.value), last.value, after->value};
    } else {
      // No later change yet: what is on its way is at most one refresh at the greatest power seen.
      double rate = 0, recent = 0;
      for (size_t i = changes.size() > 20 ? changes.size() - 20 : 1; i < changes.size(); ++i) {
        const double span = changes[i].time - changes[i - 1].time;
        if (span <= 0) continue;
        recent = (changes[i].value - changes[i - 1].value) / span;
        rate = std::max(rate, recent);
      }
      const double age = std::min(time - last.time, std::max(track.refresh, 0.0));
      bracket = {last.value + recent * age, last.value, last.value + rate * std::max(age, track.refresh)};
      bracket.high = std::max(bracket.high, bracket.estimate);
    }
    return bracket;
  };
  const auto first = value_at(begin), last = value_at(end);
  WindowEnergy window;
  window.seconds = end - begin;
  window.joules = std::max(0.0, last.estimate - first.estimate);
  window.random = std::max(first.estimate - first.low, first.high - first.estimate) +
                  std::max(last.estimate - last.low, last.high - last.estimate) + channel.unit;
  window.gain = channel.accuracy * window.joules;
  window.refresh_seconds = track.refresh;
  window.quantum_joules =
      std::max(channel.unit, track.refresh * window.joules / std::max(window.seconds, 1e-9));
  return window;
}

WindowEnergy Recorder::power_window(const Track& track, const Channel& channel, double begin,
                                    double end) const {
  const std::vector<Point>& changes = track.changes;
  // A reading stands for the refresh period around the moment at which it appeared; it appeared between two
  // polls.
  const double refresh = std::max(track.refresh, 0.0);
  const auto starts = [&](const Point& point) { return (point.time + point.since) / 2 - refresh / 2; };
  WindowEnergy window;
  window.seconds = end - begin;
  double variance = 0, steepest = 0, poll = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    const double from = i == 0 ? begin : std::max(begin, starts(changes[i]));
    const double to = i + 1 == changes.size() ? end : std::min(end, starts(changes[i + 1]));
    if (to > from) window.joules += changes[i].value * (to - from);
    const bool near = changes[i].time > begin - refresh && changes[i].time < end + 2 * refresh;
    if (i == 0 || !near) continue;
    // A step is dated to one refresh and one poll; noise of the readings shows as steps too.
    const double dated = std::max(refresh, changes[i].time - changes[i].since);
    const double step = std::abs(changes[i].value - changes[i - 1].value);
    variance += step * step * dated * dated / 2;
    steepest = std::max(steepest, step);
    poll = std::max(poll, changes[i].time - changes[i].since);
  }
  const double mean = window.joules / std::max(window.seconds, 1e-9);
  // At the edges a step as large as the steepest one seen may still be on its way.
  window.random =
      1.96 * std::sqrt(variance) + steepest * std::max(refresh, poll) / 2 + channel.unit * window.seconds / 2;
  window.gain = channel.accuracy * window.joules;
  window.refresh_seconds = refresh;
  window.quantum_joules = mean * std::max(refresh, poll);
  return window;
}

WindowEnergy Recorder::averaged_power_window(const Track& track, const Channel& channel, double begin,
                                             double end) const {
  const std::vector<Point>& changes = track.changes;
  // A reading is the mean of the refresh period that ended when it appeared; one that repeats is not seen, so
  // a value holds until the period of the next other one begins.
  const double refresh = track.refresh;
  const auto appeared = [&](size_t i) { return (changes[i].time + changes[i].since) / 2; };
  const auto from = [&](size_t i) { return i == 0 ? -INFINITY : appeared(i) - refresh; };
  const auto until = [&](size_t i) { return i + 1 == changes.size() ? INFINITY : from(i + 1); };
  WindowEnergy window;
  window.seconds = end - begin;
  double variance = 0, steepest = 0, edges = 0;
  for (size_t i = 0; i < changes.size(); ++i) {
    const double value = changes[i].value;
    const double held = std::min(end, until(i)) - std::max(begin, from(i));
    if (held > 0) window.joules += value * held;
    if (i == 0) continue;
    const double step = std::abs(value - changes[i - 1].value);
    const bool near = changes[i].time > begin - refresh && changes[i].time < end + 2 * refresh;
    if (near) {
      variance += std::pow(step * (changes[i].time - changes[i].since), 2) / 4;
      steepest = std::max(steepest, step);
    }
    // An edge within the period in which the power changed: the level outside the window goes on up to the
    // edge, and what is left of the period's energy belongs to the window. Right where the load begins and
    // ends with the window, or did not change at the edge; how wrong otherwise, the other ways tell.
    const auto edge = [&](double inside, double outside_level, double inside_level) {
      const double uniform = value * inside;
      const double ours =
          std::clamp(value * refresh - outside_level * (refresh - inside), 0.0, value * refresh);
      const double other = std::clamp(inside_level * inside, 0.0, value * refresh);
      window.joules += ours - uniform;
      edges += std::max(std::abs(ours - uniform), std::abs(ours - other));
    };
    const double first_end = appeared(i), second_end = first_end + refresh;
    const auto value_after = [&](double moment) {
      return until(i) < moment + refresh / 2 && i + 1 < changes.size() ? changes[i + 1].value : value;
    };
    if (begin > from(i) && begin < first_end && end > first_end)
      edge(first_end - begin, changes[i - 1].value, value_after(first_end));
    if (begin >= from(i)) continue;
    if (end > from(i) && end < first_end && track.last_read >= second_end) {
      edge(end - from(i), value_after(first_end), changes[i - 1].value);
    } else if (end >= first_end && end < second_end && std::abs(until(i) - second_end) < refresh / 2) {
      // A value that came twice and no more: the change may lie in either period.
      edge(end - first_end, value_after(second_end), value);
    }
  }
  window.joules = std::max(0.0, window.joules);
  // Readings of the last period may still be on their way.
  const double unknown = std::clamp(end - track.last_read + refresh, 0.0, 2 * refresh);
  window.random = 1.96 * std::sqrt(variance) + edges + steepest * unknown + channel.unit * window.seconds / 2;
  window.gain = channel.accuracy * window.joules;
  window.refresh_seconds = refresh;
  window.quantum_joules = window.joules / std::max(window.seconds, 1e-9) * refresh;
  return window;
}

WindowEnergy Recorder::window_of(size_t index, double begin, double end) const {
  const Channel& channel = source_->channels()[index];
  const Track& track = tracks_[index];
  WindowEnergy window;
  window.seconds = end - begin;
  if (track.changes.empty()) {
    window.invalid = channel.name + " was never read";
    return window;
  }
  window = channel.kind == Channel::Kind::kEnergy  ? counter_window(track, channel, begin, end)
           : channel.averaged && track.refresh > 0 ? averaged_power_window(track, channel, begin, end)
                                                   : power_window(track, channel, begin, end);
  for (const Gap& gap : track.gaps) {
    if (gap.begin < end && gap.end > begin) window.invalid = gap.reason;
  }
  // Counters of whole packages never rest; one that does for a second is switched off or broken.
  if (window.invalid.empty() && channel.kind == Channel::Kind::kEnergy && window.joules == 0 &&
      window.seconds > std::max(1.0, 5 * track.refresh) &&
      (channel.scope == "package" || channel.scope == "gpu")) {
    window.invalid = fmt::format("{} stood still for {:.1f} s", channel.name, window.seconds);
  }
  return window;
}

WindowEnergy Recorder::channel_between(size_t channel, double begin, double end) const {
  const std::lock_guard lock(mutex_);
  return window_of(channel, begin, end);
}

WindowEnergy Recorder::between(double begin, double end) const {
  const std::lock_guard lock(mutex_);
  WindowEnergy sum;
  sum.seconds = end - begin;
  for (size_t i = 0; i < tracks_.size(); ++i) {
    if (!source_->channels()[i].left_out.empty()) continue;
    const WindowEnergy part = window_of(i, begin, end);
    sum.joules += part.joules;
    sum.gain += part.gain;  // one maker's counters err alike
    sum.random = std::hypot(sum.random, part.random);
    sum.refresh_seconds = std::max(sum.refresh_seconds, part.refresh_seconds);
    sum.quantum_joules = std::max(sum.quantum_joules, part.quantum_joules);
    if (sum.invalid.empty()) sum.invalid = part.invalid;
  }
  return sum;
}

double Recorder::recent_watts(double seconds) const {
  const double end = [&] {
    const std::lock_guard lock(mutex_);
    double last = 0;
    for (const Track& track : tracks_) last = std::max(last, track.last_read);
    return last;
  }();
  return between(end - seconds, end).joules / seconds;
}

void Recorder::forget_before(double moment) {
  const std::lock_guard lock(mutex_);
  for (Track& track : tracks_) {
    // The change before the moment stays: it holds the value at the moment.
    const auto keep =
        std::upper_bound(track.changes.begin(), track.changes.end(), moment - 2 * track.refresh - 1,
                         [](double t, const Point& point) { return t < point.time; });
    if (keep - track.changes.begin() > 1024) track.changes.erase(track.changes.begin(), keep - 1);
    std::erase_if(track.gaps, [&](const Gap& gap) { return gap.end < moment; });
  }
}

}  // namespace wattle
