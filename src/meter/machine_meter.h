#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include <wattle/meter.h>

#include "base/phases.h"
#include "meter/machine.h"
#include "meter/model.h"
#include "meter/phase_regression.h"
#include "meter/recorder.h"

namespace wattle::inline meter {

/// A way to a source that was tried: its name, and why it was not to be had.
struct Obstacle {
  std::string source, reason, cure;
};

/// What was found on a machine: recorders of counters, or the model in their place.
struct Sources {
  std::vector<std::unique_ptr<Recorder>> recorders;
  std::optional<PowerProfile> profile;  ///< set when the processor is modelled
  int threads = 1;
  std::string notice;
  std::vector<Obstacle> obstacles;
};

/// Looks for the sources that `options` ask for, in the order of docs/meter.md.
Sources find_sources(Machine& machine, const MeterOptions& options);

/// Names of what can be forced, for messages and --help.
std::string source_names();

/// What end_foreign() does about readings that come after the end of the window and speak of it.
enum class Settle {
  kNo,        ///< the figure is given at once, and its interval says what is open
  kYes,       ///< they are waited for: two refreshes where they are means, one where they are not
  kLoadEnded  ///< the same, and the load is taken to begin and end with the window, as a command does
};

/// The meter over a machine. With `background` a thread reads the counters at their period; without, the
/// caller calls poll() (tests in simulated time).
class MachineMeter : public Meter {
 public:
  MachineMeter(std::unique_ptr<Machine> machine, const MeterOptions& options, bool background);
  ~MachineMeter() override;

  std::shared_ptr<const Moment> begin() override;
  Energy end(const std::shared_ptr<const Moment>& begin, const Work* work) override;
  Energy end_settled(const std::shared_ptr<const Moment>& begin, const Work* work,
                     RawWindow* raw = nullptr) override;
  std::vector<Energy> end_parts(const std::shared_ptr<const Moment>& begin, const Work* work) override;
  std::vector<double> stretch_joules(const Energy& window, std::span<const Stretch> stretches) override;
  /// A window of a foreign program: `busy_seconds` of processor time instead of this process's own.
  Energy end_foreign(const std::shared_ptr<const Moment>& begin, double busy_seconds,
                     Settle settle = Settle::kNo);
  /// The same where the processor time is to be asked for after the end of the window, because that takes
  /// time.
  Energy end_foreign(const std::shared_ptr<const Moment>& begin, const std::function<double()>& busy_seconds,
                     Settle settle = Settle::kNo, RawWindow* raw = nullptr);
  Energy end_processes(const std::shared_ptr<const Moment>& begin,
                       const std::function<double()>& busy_seconds, bool settled,
                       RawWindow* raw = nullptr) override {
    return end_foreign(begin, busy_seconds, settled ? Settle::kYes : Settle::kNo, raw);
  }
  Energy measure_idle(double seconds) override;
  int repetitions(double seconds) const override;

  std::string source() const override;
  Grade grade() const override;
  std::string scope() const override;
  std::string notice() const override { return sources_.notice; }

  void poll();
  /// Hears every reading of every source from now on.
  void set_listener(const Recorder::Listener& listener);
  /// Seconds between new readings of the slowest counted channel; 0 where all are modelled.
  double slowest_refresh() const;
  /// Seconds between readings as a rule, and from now until the next one is due.
  double period() const;
  double seconds_to_next_poll() const;
  const Sources& sources() const { return sources_; }
  Machine& machine() { return *machine_; }
  /// Processor time that the background thread and the meter commands it runs have taken, in seconds.
  double own_cpu_seconds() const;

 private:
  std::vector<Energy> close(const Moment& begin, const std::function<double()>& busy_seconds,
                            const Work* work, Settle settle = Settle::kNo, RawWindow* raw = nullptr);
  void wait(double seconds);
  Energy measured(size_t recorder, const WindowEnergy& window) const;
  double counted_joules(const Stretch& stretch, const PowerProfile& profile) const;
  bool long_enough(double seconds) const;
  void run();

  std::unique_ptr<Machine> machine_;
  Sources sources_;
  std::vector<std::optional<Energy>> idle_;  ///< measured idle of each recorder
  std::vector<std::optional<RawStretch>> raw_idle_;
  PhaseRegression regression_;               ///< of short phases, over all windows of this meter
  std::optional<PowerProfile> proportions_;  ///< where counters are: the model that divides what they show
  std::mutex moments_mutex_;
  std::list<std::weak_ptr<const Moment>> moments_;
  std::atomic<double> thread_cpu_seconds_ = 0;
  double helpers_before_ = 0;  ///< processor time of meter commands before this meter was opened
  std::mutex stop_mutex_;
  std::condition_variable stop_signal_;
  bool stop_ = false;
  std::thread thread_;
};

/// Processor seconds of this process, and of its children that were waited for.
double process_cpu_seconds();

}  // namespace wattle::inline meter
