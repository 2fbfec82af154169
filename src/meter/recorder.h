#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "meter/machine.h"
#include "meter/raw_window.h"
#include "meter/source.h"
#include "meter/window.h"

namespace wattle::inline meter {

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

  /// How long after the end of a window of `seconds` the last reading may come that speaks of it: two
  /// refreshes of means, one of other readings; 0 where the window is too short for the source anyway.
  double seconds_to_settle(double seconds) const;
  /// The refresh of the slowest channel that is counted: learnt, stated by its driver, or the least that is
  /// assumed.
  double slowest_refresh() const;
  /// Whether a power channel of unknown refresh has shown more than one value: it can be learnt.
  bool can_learn() const;
  /// Whether every power channel that is counted has a refresh that is learnt or stated.
  bool refresh_known() const;

  /// A moment at which the source was read.
  double mark();
  /// Both must come from mark(); what lies before the oldest kept moment is forgotten by forget_before.
  /// `raw`: takes the readings that the window follows from.
  WindowEnergy between(double begin, double end, Edges edges = Edges::kAny, RawStretch* raw = nullptr) const;
  WindowEnergy channel_between(size_t channel, double begin, double end, Edges edges = Edges::kAny) const;
  void forget_before(double moment);

  Source& source() { return *source_; }
  const Source& source() const { return *source_; }
  double refresh_seconds(size_t channel) const;

 private:
  struct Gap {
    double begin, end;
    std::string reason;
  };
  struct Track {
    std::vector<Change> changes;       ///< readings that differ from the one before
    std::vector<RawReading> readings;  ///< as they came, but for those between two equal ones
    std::vector<Gap> gaps;             ///< stretches of time that no reading vouches for
    uint64_t last_counts = 0;
    double last_read = -1;
    double joules = 0;
    double resolution = 0;  ///< joules of its steps, where they are coarser than its unit
    double refresh = 0;     ///< seconds between changes; 0: not known, faster than the polls
    bool alive = false;
  };

  void note_gap(double begin, double end, const std::string& reason);
  void note_silence(double now);
  void take(Track& track, const Channel& channel, const Reading& reading, double now);
  static void keep(Track& track, const Reading& reading, double now);
  RawStretch raw_between(double begin, double end) const;
  void count(Track& track, const Channel& channel, const Reading& reading, double now);
  void learn_refresh(Track& track, Channel::Kind kind);
  double usual_period() const;
  double next_dating_poll(const Track& track, double refresh) const;
  double refresh_of(size_t channel) const;
  bool known(size_t channel) const;
  WindowEnergy window_of(size_t channel, double begin, double end, Edges edges) const;

  Machine& machine_;
  std::unique_ptr<Source> source_;
  std::vector<Track> tracks_;
  Listener listener_;
  double suspended_;  ///< what the machine told last
  mutable std::mutex mutex_;
};

}  // namespace wattle::inline meter
