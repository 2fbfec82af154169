#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wattle::inline base {
struct Work;
struct Stretch;
}  // namespace wattle::inline base

namespace wattle::inline meter {

/// How a figure came about. A sum takes the worst (the greatest) grade of its parts.
enum class Grade { kMeasured, kAttributed, kModelled };
std::string_view name(Grade grade);

/// What a window took of one parameter of a power model: amount x value joules.
struct ModelTerm {
  enum Parameter { kIdle, kFull, kInt8, kBf16, kFp32, kBytes };
  Parameter parameter = kIdle;
  double amount = 0;                    ///< seconds of hardware threads, multiply-adds, or bytes
  double low = 0, value = 0, high = 0;  ///< joules for one, with the range that holds 95 %
};
std::string_view name(ModelTerm::Parameter parameter);

/// The modelled part of a figure as it was computed, so that a comparison can compute both sides again with
/// other values of the parameters. No terms: nothing is modelled, or not as a sum over parameters.
struct ModelRecord {
  std::vector<ModelTerm> terms;
  double idle_full_correlation = 0;  ///< of the logarithms of the idle and the full power of a server
  /// Without terms: the figure is a point of a power curve over load, whose error is correlated between two
  /// points as exp(-d / curve_scale), d the logarithm of the ratio of their powers. 0: it is no such point.
  double curve_scale = 0;
};

/// Energy of a window: joules with source, grade, scope and a 95 % interval.
///
/// Its error has two parts, which every rule below keeps apart. What *repeats* is the same, relative to the
/// joules, in all windows of one instrument: the gain of a counter (`systematic`), or the wrong parameters of
/// a model (the whole interval of a modelled figure). It never shrinks with the number of windows. What is
/// *independent* differs from window to window: edges, steps, noise. It shrinks with the root of their
/// number.
struct Energy {
  double joules = 0;  ///< net of nothing: what `scope` drew during the window (gross)
  double low = 0;     ///< 95 % interval
  double high = 0;
  double idle_joules = 0;  ///< the part that the same machine draws when idle; net = joules - idle_joules
  double seconds = 0;
  Grade grade = Grade::kModelled;
  std::string source;     ///< "rapl:package", "nvml", "model:zen4", ...
  std::string scope;      ///< "package", "package+dram", "gpu", "wall", "vcpu+memory", ...
  int windows = 1;        ///< windows that were added up, or of which this is the mean
  double systematic = 0;  ///< the part of the half-width that this instrument repeats in every window
  double resolution =
      0;  ///< joules (half-width, 95 %) left open by the window's edges and the counters' steps
  bool idle_known = false;   ///< whether idle_joules was measured (or modelled); else it is 0
  std::string invalid = {};  ///< empty, or why the figure must not be believed: "package-0 could not be read"
  double idle_half = 0;      ///< half-width (95 %) of idle_joules, beyond what the gain of `joules` repeats
  ModelRecord model = {};    ///< what `joules` holds by the power model
};

/// The two parts of a figure's error, downwards and upwards; each side of the interval is their hypotenuse.
struct ErrorParts {
  double repeated_below = 0, repeated_above = 0;
  double independent_below = 0, independent_above = 0;
};
ErrorParts error_parts(const Energy& energy);

/// Sum of windows that follow each other (their sources have a part in common) or of different sources over
/// the same time. Repeated errors of one instrument add, all else adds in quadrature; the worst grade is
/// taken, and the first reason to be invalid.
Energy operator+(const Energy& a, const Energy& b);
/// Mean of windows of one kind. Five windows of 100 J that are known to 5 % by gain have a mean of 100 J
/// that is known to 5 %. Error on none.
Energy mean_energy(std::span<const Energy> windows);
/// What `a` drew more than `b`; may be negative. The gain of one instrument is wrong by as much of the
/// difference, not of the two; of a modelled figure it is not known how much of the parameters' error both
/// sides share, and nothing is taken as shared.
Energy difference(const Energy& a, const Energy& b);
/// The window above idle: joules - idle_joules, with the doubt of both. Error where idle is not known.
Energy net_of_idle(const Energy& gross);
/// All quantities of a figure times `factor` (at least 0): a window of n executions times 1 / n is one of
/// them, a window of n queries times 1000 / n stands for a thousand.
Energy scaled(const Energy& energy, double factor);
/// A mean whose windows spread: `below` and `above` are half-widths (95 %) of a statistic over the windows
/// (Student's t, bootstrap). The spread holds the independent error already, which is therefore taken only
/// where it is the greater of the two; what repeats comes on top in quadrature.
Energy with_spread(const Energy& mean, double below, double above);
/// The part of a window that `share` (0..1) of its work stands for; grade measured becomes attributed.
Energy share_of(const Energy& whole, double share);
/// Splits a window by weights (seconds or operations of its rows or phases); the joules of the parts, added
/// in order, are the window's to the last bit. Error when no weight is positive.
std::vector<Energy> split(const Energy& whole, std::span<const double> weights);

/// The raw samples that a window's energy follows from (meter/raw_window.h).
struct RawWindow;

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

  /// The same after waiting for the readings that still speak of the window: none of fast counters, two
  /// refreshes of means, one of other slow sources. `raw`: takes the samples that the figure follows from.
  virtual Energy end_settled(const std::shared_ptr<const Moment>& begin, const Work* work = nullptr,
                             RawWindow* raw = nullptr) = 0;

  /// end() or, with `settled`, end_settled() of work by other processes than this one's: `busy_seconds` is
  /// asked for at the end, and stands for this process's processor time.
  virtual Energy end_processes(const std::shared_ptr<const Moment>& begin,
                               const std::function<double()>& busy_seconds, bool settled,
                               RawWindow* raw = nullptr) = 0;

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

}  // namespace wattle::inline meter
