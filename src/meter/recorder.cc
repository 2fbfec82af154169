#include "meter/recorder.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "meter/refresh.h"

namespace wattle::inline meter {
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
/// A power reading whose refresh is neither learnt nor stated is taken to be new this often at most, and is
/// read this often until it is learnt.
constexpr double kUnknownRefresh = 1, kUnknownPeriod = 0.05;
constexpr double kSuspended = 0.01;
constexpr size_t kChangesForRefresh = 12, kChangesForRefreshOfPower = 24;
/// What many changes have taught is looked at again with so many more: it costs time.
constexpr size_t kLearnEach = 8;
/// What a window follows from begins with so many changes before it; of momentary readings, whose noise
/// follows from more, with so many in all (meter/window.cc).
constexpr size_t kChangesBefore = 3, kChangesOfNoise = 200;

double quantile(std::vector<double> values, double share) {
  const auto at = values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size()));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

/// The first reading that a window beginning at `begin` needs: the one before the third change until then,
/// and before `least` changes in all.
size_t first_needed(const std::vector<RawReading>& readings, double begin, size_t least) {
  size_t before = 0, all = 0;
  for (size_t i = readings.size(); i-- > 1;) {
    if (!readings[i].ok || readings[i].shows_the_same(readings[i - 1])) continue;
    ++all, before += readings[i].time <= begin ? 1 : 0;
    if (before >= kChangesBefore && all >= least) return i - 1;
  }
  return 0;
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
  for (size_t i = 0; i < tracks_.size(); ++i) {
    keep(tracks_[i], readings[i], now);
    take(tracks_[i], source_->channels()[i], readings[i], now);
  }
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

void Recorder::keep(Track& track, const Reading& reading, double now) {
  const RawReading raw{now, reading.ok, reading.ok ? reading.counts : 0, reading.ok ? reading.watts : 0};
  std::vector<RawReading>& kept = track.readings;
  const size_t n = kept.size();
  if (n >= 2 && kept[n - 1].shows_the_same(raw) && kept[n - 2].shows_the_same(raw))
    kept.back().time = now;
  else
    kept.push_back(raw);
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
    track.resolution = reading.resolution;
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

/// The refresh period of a counter is the usual time between changes, where a reading in between showed the
/// old value: two polls that both show something new say only that it is renewed at least as often.
void Recorder::learn_refresh(Track& track, Channel::Kind kind) {
  const size_t n = track.changes.size();
  if (n < 3 || n > 400) return;  // not known yet; does not change any more
  if (n > kChangesForRefreshOfPower && n % kLearnEach != 0) return;
  const size_t most = kind == Channel::Kind::kPower ? kChangesForRefreshOfPower : kChangesForRefresh;
  const size_t first = n > most ? n - most : 1;
  if (kind == Channel::Kind::kPower) {
    track.refresh = refresh_of_power(
        {track.changes.begin() + static_cast<ptrdiff_t>(first), track.changes.end()}, track.refresh);
    return;
  }
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
  track.refresh = quantile(gaps, 0.5);
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
    if (channel.kind == Channel::Kind::kPower && !known(i)) period = std::min(period, kUnknownPeriod);
    if (channel.kind == Channel::Kind::kPower && known(i) && refresh_of(i) < kShortestTracked)
      period = std::min({period, refresh_of(i) / 2, kDatingPeriod});
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
    if (channel.kind == Channel::Kind::kPower && channel.left_out.empty() && known(i) &&
        refresh_of(i) >= kShortestTracked)
      due = std::min(due, next_dating_poll(tracks_[i], refresh_of(i)));
  }
  return std::max({due - machine_.now(), kShortestPeriod, source_->shortest_period()});
}

/// When a source of power should be read next to date its next reading: from just before the moment at which
/// it is expected, step by step, until it has come or is two steps late.
double Recorder::next_dating_poll(const Track& track, double refresh) const {
  const Change &last = track.changes.back(),
               &before = track.changes[std::max<size_t>(2, track.changes.size()) - 2];
  const double step = std::max(refresh / kDatingSteps, kDatingPeriod);
  const double appeared = (last.time + last.since) / 2;
  const double dated = (last.time - last.since + before.time - before.since) / 2;
  for (double refreshes = std::max(1.0, std::floor((track.last_read - appeared) / refresh));; ++refreshes) {
    const double expected = appeared + refreshes * refresh;
    const double early = dated + std::min(refreshes * kClockDrift * refresh, 2 * step);
    if (track.last_read >= expected + early + 2 * step) continue;
    return track.last_read < expected - early ? expected - early : track.last_read + step;
  }
}

bool Recorder::known(size_t channel) const {
  return tracks_[channel].refresh > 0 || source_->channels()[channel].stated_interval > 0;
}

double Recorder::refresh_of(size_t index) const {
  const Channel& channel = source_->channels()[index];
  const Track& track = tracks_[index];
  // A driver that says over how long its means go knows it better than their changes tell.
  if (channel.averaged && channel.stated_interval > 0) return channel.stated_interval;
  if (track.refresh > 0) return track.refresh;
  if (channel.stated_interval > 0) return channel.stated_interval;
  return channel.kind == Channel::Kind::kPower ? kUnknownRefresh : 0;
}

double Recorder::refresh_seconds(size_t channel) const {
  const std::lock_guard lock(mutex_);
  return refresh_of(channel);
}

double Recorder::slowest_refresh() const {
  const std::lock_guard lock(mutex_);
  double slowest = 0;
  for (size_t i = 0; i < tracks_.size(); ++i) {
    if (source_->channels()[i].left_out.empty()) slowest = std::max(slowest, refresh_of(i));
  }
  return slowest;
}

bool Recorder::can_learn() const {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const Channel& channel = source_->channels()[i];
    if (channel.left_out.empty() && channel.kind == Channel::Kind::kPower && !known(i) &&
        tracks_[i].changes.size() > 1)
      return true;
  }
  return false;
}

bool Recorder::refresh_known() const {
  const std::lock_guard lock(mutex_);
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const Channel& channel = source_->channels()[i];
    if (channel.left_out.empty() && channel.kind == Channel::Kind::kPower && !known(i)) return false;
  }
  return true;
}

double Recorder::seconds_to_settle(double window) const {
  const std::lock_guard lock(mutex_);
  double seconds = 0;
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const Channel& channel = source_->channels()[i];
    const double refresh = refresh_of(i);
    const bool power = channel.kind == Channel::Kind::kPower;
    if (!channel.left_out.empty() || (power && refresh > window)) continue;
    if (!power && refresh < kDefaultPeriod) continue;
    seconds = std::max(
        seconds, (power && channel.averaged ? 2 : 1) * std::max(refresh, kShortestPeriod) + kDefaultPeriod);
  }
  return seconds;
}

WindowEnergy Recorder::window_of(size_t index, double begin, double end, Edges edges) const {
  const Channel& channel = source_->channels()[index];
  const Track& track = tracks_[index];
  WindowEnergy window;
  window.seconds = end - begin;
  if (track.changes.empty()) {
    window.invalid = channel.name + " was never read";
    return window;
  }
  window = window_energy(channel,
                         {track.changes, refresh_of(index), known(index), track.last_read, track.resolution},
                         begin, end, edges);
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

WindowEnergy Recorder::channel_between(size_t channel, double begin, double end, Edges edges) const {
  const std::lock_guard lock(mutex_);
  return window_of(channel, begin, end, edges);
}

RawStretch Recorder::raw_between(double begin, double end) const {
  RawStretch raw{begin, end, {}};
  for (size_t i = 0; i < tracks_.size(); ++i) {
    const Channel& channel = source_->channels()[i];
    if (!channel.left_out.empty()) continue;
    const Track& track = tracks_[i];
    const bool is_power = channel.kind == Channel::Kind::kPower;
    const size_t first =
        first_needed(track.readings, begin, is_power && !channel.averaged ? kChangesOfNoise : kChangesBefore);
    raw.channels.push_back({channel.name,
                            channel.scope,
                            is_power,
                            channel.averaged,
                            channel.unit,
                            channel.wrap_counts,
                            channel.accuracy,
                            channel.max_watts,
                            refresh_of(i),
                            known(i),
                            track.resolution,
                            {track.readings.begin() + static_cast<ptrdiff_t>(first), track.readings.end()}});
  }
  return raw;
}

WindowEnergy Recorder::between(double begin, double end, Edges edges, RawStretch* raw) const {
  const std::lock_guard lock(mutex_);
  if (raw != nullptr) *raw = raw_between(begin, end);
  WindowEnergy sum;
  sum.seconds = end - begin;
  std::map<std::string, double> gains;  // of one scope: one maker's counters of one kind err alike
  for (size_t i = 0; i < tracks_.size(); ++i) {
    if (!source_->channels()[i].left_out.empty()) continue;
    const WindowEnergy part = window_of(i, begin, end, edges);
    sum.joules += part.joules;
    gains[source_->channels()[i].scope] += part.gain;
    sum.random = std::hypot(sum.random, part.random);
    sum.refresh_seconds = std::max(sum.refresh_seconds, part.refresh_seconds);
    sum.quantum_joules = std::max(sum.quantum_joules, part.quantum_joules);
    if (sum.invalid.empty()) sum.invalid = part.invalid;
  }
  for (const auto& [scope, gain] : gains) sum.gain = std::hypot(sum.gain, gain);
  return sum;
}

void Recorder::forget_before(double moment) {
  const std::lock_guard lock(mutex_);
  for (Track& track : tracks_) {
    // The changes that a window from the moment on follows from stay.
    const auto keep =
        std::upper_bound(track.changes.begin(), track.changes.end(), moment - 2 * track.refresh - 1,
                         [](double t, const Change& change) { return t < change.time; });
    if (keep - track.changes.begin() > 1024) {
      track.changes.erase(track.changes.begin(), keep - 1 - static_cast<ptrdiff_t>(kChangesBefore));
      const double first = track.changes.front().time;
      std::erase_if(track.readings, [first](const RawReading& reading) { return reading.time < first; });
    }
    std::erase_if(track.gaps, [&](const Gap& gap) { return gap.end < moment; });
  }
}

}  // namespace wattle::inline meter
