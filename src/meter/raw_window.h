#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <wattle/meter.h>

namespace wattle::inline meter {

/// What a channel showed once: counts of an energy counter, watts of a power reading; not ok where it could
/// not be read.
struct RawReading {
  double time = 0;
  bool ok = false;
  uint64_t counts = 0;
  double watts = 0;

  bool shows_the_same(const RawReading& other) const {
    return ok == other.ok && counts == other.counts && watts == other.watts;
  }
};

/// A counted channel of a source (meter/source.h says what its properties mean) and its readings around a
/// stretch of time: those that a window by window_energy() follows from. Of readings that repeat the first
/// and the last are kept.
struct RawChannel {
  std::string name, scope;
  bool is_power = false, averaged = false;
  double unit = 0, wrap_counts = 0, accuracy = 0, max_watts = 0;
  double refresh = 0;     ///< seconds between new readings, as far as they were known at the end
  bool learnt = false;    ///< or stated by the driver
  double resolution = 0;  ///< joules of a counter's steps, where they are coarser than its unit
  std::vector<RawReading> readings;
};

/// All counted channels of one source between two moments.
struct RawStretch {
  double begin = 0, end = 0;
  std::vector<RawChannel> channels;
};

struct RawSource {
  std::string name;
  RawStretch window;
  std::optional<RawStretch> idle;  ///< the measurement that the window's idle part follows from
};

/// What a power model was given, and the parameters that it multiplied it by.
struct RawModel {
  std::string source;
  double threads = 0, seconds = 0, busy_seconds = 0;
  double macs_int8 = 0, macs_bf16 = 0, macs_fp32 = 0, bytes = 0;
  struct Range {
    double low = 0, value = 0, high = 0;
  };
  /// Joules for one, by ModelTerm::Parameter; of a package's curve none.
  std::vector<Range> parameters;
  /// Of a package's curve: coefficient and feature of each term of the logarithm of the watts, and the
  /// half-width of that logarithm.
  std::vector<std::pair<double, double>> log_watts;
  double log_half_width = 0;
};

/// The raw samples of a window: all that its Energy follows from.
struct RawWindow {
  std::vector<RawSource> sources;
  std::optional<RawModel> model;
};

/// As it is kept: one object of JSON, numbers to the last bit.
std::string to_json_text(const RawWindow& window);
/// Error where the text is no such object, a reading has no time or times go back.
RawWindow raw_window_from_json(std::string_view text);

}  // namespace wattle::inline meter
