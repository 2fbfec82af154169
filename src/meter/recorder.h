#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "meter/machine.h"
#include "meter/source.h"

namespace wattle {

/// Joules of one channel or of a sum between two moments, with the half-widths of their 95 % interval apart
/// by origin: `gain` belongs to the instrument and cancels in a ratio of two windows, `random` does not.
struct WindowEnergy {
  double joules = 0;
  double gain = 0;    ///< accuracy of the instrument
  double random = 0;  ///< edges, refresh, quantisation, noise
  double seconds = 0;
  double refresh_seconds = 0;  ///< of the slowest channel that is counted
  double quantum_joules = 0;   ///< one step of the counter, or one refresh at the mean power
  std::string invalid;         ///< empty, or why the figure is not to be believed
};

/// Reads the channels of a source again and again, and answers what flowed between two moments. Counters are
/// kept in 64 bits and corrected for wraps; power readings are held until the next one, repeated values
/// included.
class Recorder {
 public:
  Recorder(Machine& machine, std::unique_ptr<Source> source);

  /// Watches the source until its refresh period is known, for at most `seconds`.
  void infer_refresh(double seconds);
  /// Called with each round of readings and its moment, on the thread that polls.
  using Listener = std::function<void(const Source&, double time, const std::vector<Reading>&)>;
  void set_listener(Listener listener);
  /// Reads every channel once. Thread-safe.
  void poll();
  /// Seconds between polls that lose nothing: the default of 0.1, less for fast power readings and early
  /// wraps.
  double period() const;
  /// Seconds from now until the next poll is due: a period after the last one, or sooner where a new reading
  /// of a slow power source is expected, whose moment is to be known better than that.
  double seconds_to_next_poll() const;

  /// How long after a moment the last power reading may come that speaks of the time before it.
  double seconds_to_settle() const;

  /// A moment at which the source was read.
  double mark();
  /// Both must come from mark(); what lies before the oldest kept moment is forgotten by forget_before.
  WindowEnergy between(double begin, double end) const;
  WindowEnergy channel_between(size_t channel, double begin, double end) const;
  void forget_before(double moment);

  Source& source() { return *source_; }
  const Source& source() const { return *source_; }
  double refresh_seconds(size_t channel) const { return tracks_[channel].refresh; }
  /// Power of the counted channels over the last `seconds`, in watts.
  double recent_watts(double seconds) const;

 private:
  struct Point {
    double time;   ///< when the reading was taken
    double value;  ///< joules since the start (counter), watts (power)
    double since;  ///< the reading before it, which still showed the older value
  };
  struct Gap {
    double begin, end;
    std::string reason;
  };
  struct Track {
    std::vector<Point> changes;  ///< readings that differ from the one before
    std::vector<Gap> gaps;       ///< stretches of time that no reading vouches for
    uint64_t last_counts = 0;
    double last_read = -1;
    double joules = 0;
    double refresh = 0;  ///< seconds between changes; 0: not known, faster than the polls
    bool alive = false;
  };

  void note_gap(double begin, double end, const std::string& reason);
  void note_silence(double now);
  void take(Track& track, const Channel& channel, const Reading& reading, double now);
  void count(Track& track, const Channel& channel, const Reading& reading, double now);
  void learn_refresh(Track& track, Channel::Kind kind);
  double usual_period() const;
  double next_dating_poll(const Track& track) const;
  WindowEnergy counter_window(const Track& track, const Channel& channel, double begin, double end) const;
  WindowEnergy averaged_power_window(const Track& track, const Channel& channel, double begin,
                                     double end) const;
  WindowEnergy power_window(const Track& track, const Channel& channel, double begin, double end) const;
  WindowEnergy window_of(size_t channel, double begin, double end) const;

  Machine& machine_;
  std::unique_ptr<Source> source_;
  std::vector<Track> tracks_;
  Listener listener_;
  double suspended_;  ///< what the machine told last
  mutable std::mutex mutex_;
};

}  // namespace wattle
