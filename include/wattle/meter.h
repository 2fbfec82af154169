#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wattle {

struct Work;
struct Stretch;

/// How a figure came about. A sum takes the worst (the greatest) grade of its parts.
enum class Grade { kMeasured, kAttributed, kModelled };
std::string_view name(Grade grade);

/// Energy of a window: joules with source, grade, scope and a 95 % interval.
struct Energy {
  double joules = 0;  ///< net of nothing: what `scope` drew during the window (gross)
  double low = 0;     ///< 95 % interval
  double high = 0;
  double idle_joules = 0;  ///< the part that the same machine draws when idle; net = joules - idle_joules
  double seconds = 0;
  Grade grade = Grade::kModelled;
  std::string source;  ///< "rapl:package", "nvml", "model:zen4", ...
  std::string scope;   ///< "package", "package+dram", "gpu", "wall", "vcpu+memory", ...
  int windows = 1;     ///< windows that were added up
  double systematic =
      0;  ///< the part of the half-width that this instrument repeats in every window: it cancels in ratios
  double resolution =
      0;  ///< joules (half-width, 95 %) left open by the window's edges and the counters' steps
  bool idle_known = false;   ///< whether idle_joules was measured (or modelled); else it is 0
  std::string invalid = {};  ///< empty, or why the figure must not be believed: "package-0 could not be read"
};
/// Adds joules, intervals (in quadrature when independent, linearly when of one modelled source) and takes
/// the worst grade.
Energy operator+(const Energy& a, const Energy& b);
/// The part of a window that `share` (0..1) of its work stands for; grade measured becomes attributed.
Energy share_of(const Energy& whole, double share);
/// Splits a window by weights (seconds or operations of its rows or phases); the joules of the parts, added
/// in order, are the window's to the last bit. Error when no weight is positive.
std::vector<Energy> split(const Energy& whole, std::span<const double> weights);

struct MeterOptions {
  std::string root = "/";  ///< where /sys and /proc are looked for: a simulated machine is a directory
  std::string source;   ///< empty: the best there is; else force by name ("rapl", "model", "model-package",
                        ///< "file:PATH", "exec:CMD")
  std::string profile;  ///< processor profile for the modelled source; empty: recognised from the processor
  std::string
      server;  ///< facts of the server that the modelled source stands for: "tdp=360,chips=2,memory=768,
               ///< threads=256,year=2024"; takes the place of the profile
  bool require_measured = false;  ///< Error with exit status 3 instead of falling back
  bool gpu = true;                ///< add the counters of graphics processors where there are any
};

/// Joules between two moments. Opens the best source there is and says in `notice()` what was lost and which
/// command would get it back when that is not a counter.
class Meter {
 public:
  static std::unique_ptr<Meter> open(const MeterOptions& options = {});
  virtual ~Meter() = default;

  struct Moment;
  /// Begins a window. Windows may nest and overlap.
  virtual std::shared_ptr<const Moment> begin() = 0;
  /// Ends it. `work` is what the engine did in the window (the modelled source needs it; null for foreign
  /// programs: processor time of this process and its children is used instead).
  virtual Energy end(const std::shared_ptr<const Moment>& begin, const Work* work = nullptr) = 0;

  /// The same by source: processor, graphics processors. end() is their sum.
  virtual std::vector<Energy> end_parts(const std::shared_ptr<const Moment>& begin,
                                        const Work* work = nullptr) = 0;
  /// Joules of each stretch of an ended window (base/phases.h): by the counters where it is long enough for
  /// them, else its part of the rest by what the model says of such work, corrected by the regression of all
  /// measured windows until now on the work of their phases. They stand for the stretches' proportions;
  /// divide_window() makes them add up. Call it once a window.
  virtual std::vector<double> stretch_joules(const Energy& window, std::span<const Stretch> stretches) = 0;
  /// Measures `seconds` of the machine as it is now and takes that as idle in later windows. Call with the
  /// model loaded and the threads parked, before the windows and after them; the two figures tell the drift.
  virtual Energy measure_idle(double seconds) = 0;
  /// How often a window of `seconds` must be repeated until one step of the counter is under 1 % of the sum:
  /// 1 where it holds 20 steps or more. Fewer times do where Energy::resolution is under 1 % sooner.
  virtual int repetitions(double seconds) const = 0;

  virtual std::string source() const = 0;
  virtual Grade grade() const = 0;
  virtual std::string scope() const = 0;
  virtual std::string notice() const = 0;  ///< empty when nothing was lost
};

}  // namespace wattle
