#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "meter/machine.h"

namespace wattle::inline meter {

/// One physical quantity that a source shows: an energy counter or a power reading.
struct Channel {
  enum class Kind { kEnergy, kPower };
  std::string name;  ///< "package-0", "dram-0", "gpu-0", "rail VDD_CPU"
  std::string
      scope;  ///< "package", "dram", "core", "platform", "gpu", "rail", "module", "system", "wall", ...
  Kind kind = Kind::kEnergy;
  double unit = 1e-6;      ///< joules of one count, or the step of a power reading in watts
  double wrap_counts = 0;  ///< the counter starts again at zero after this many counts; 0: never
  double accuracy =
      0.05;  ///< half-width of the 95 % interval of its gain, relative; docs/meter.md says whose figure
  bool averaged =
      false;  ///< a power reading is the mean since the one before it, not the power at its moment
  double stated_interval = 0;  ///< seconds between readings, or that a mean covers, as the driver says; 0: it
                               ///< does not
  double max_watts = 1000;     ///< no working machine draws more through it: more is a broken reading
  std::string left_out;        ///< empty: counted; else the reason why it is not added to the total
  std::string place = {};      ///< of a graphics board: its PCI address, "0000:03:00.0"
};

/// What a channel said. `counts` of an energy counter, `watts` of a power reading; not ok when it could not
/// be read.
struct Reading {
  bool ok = false;
  uint64_t counts = 0;
  double watts = 0;
  double resolution =
      0;  ///< joules of the steps that a counter moves in, where they are coarser than its unit
  std::string problem = {};  ///< of a reading that is not ok: "answered HTTP 500"; empty: "could not be read"
};

/// One kind of meter: opened, described by its channels, read.
class Source {
 public:
  virtual ~Source() = default;
  virtual std::string name() const = 0;  ///< "rapl-perf", "nvml", "ina", "file:PATH", ...
  const std::vector<Channel>& channels() const { return channels_; }
  /// Takes a channel out of the sum, for what another source is known to count.
  void leave_out(size_t channel, const std::string& reason) { channels_[channel].left_out = reason; }
  /// One reading a channel, in their order.
  virtual std::vector<Reading> read() = 0;
  /// Seconds between readings that the source can bear; 0: any.
  virtual double shortest_period() const { return 0; }

 protected:
  std::vector<Channel> channels_;
};

/// What came of looking for a source: the source, or why there is none and the command that would get it.
struct Probe {
  std::unique_ptr<Source> source;
  std::string obstacle;     ///< "/sys/class/powercap has no RAPL zone"
  std::string cure;         ///< "sudo chmod a+r ..."; empty when nothing can be done here
  std::string remark = {};  ///< one line: what a source that was opened does not show, though it is there
};

Probe open_rapl_perf(Machine& machine);
Probe open_rapl_powercap(Machine& machine);
Probe open_rapl_msr(Machine& machine);
Probe open_processor_hwmon(Machine& machine);
Probe open_amd_apu(Machine& machine);
Probe open_acpi_meter(Machine& machine);
Probe open_apple_smc(Machine& machine);
Probe open_ibm_occ(Machine& machine);
Probe open_power_supply(Machine& machine);
Probe open_ina(Machine& machine);
Probe open_battery(Machine& machine);
Probe open_nvml(Machine& machine);
Probe open_amdsmi(Machine& machine);
Probe open_gpu_hwmon(Machine& machine);
/// Sensors of power and energy of which nobody knows what they measure: shown, never counted.
Probe open_other_hwmon(Machine& machine);
/// "file:PATH[,UNIT[,average]]", "exec:COMMAND[,UNIT[,average]]", "shelly:HOST", "tasmota:HOST"; null for any
/// other name. Error when it gives no answer or none with a unit.
std::unique_ptr<Source> open_external(Machine& machine, const std::string& name);

/// Marks zones that must not be added: psys, parts of a package, DRAM that the package holds, and dies that
/// mirror each other. `twins[i]` is the index of an earlier channel whose deltas were equal, or -1.
void leave_out_overlaps(std::vector<Channel>& channels, const std::vector<int>& twins);

}  // namespace wattle::inline meter
