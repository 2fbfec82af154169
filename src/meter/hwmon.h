#pragma once

#include <string>
#include <vector>

#include "meter/source.h"

namespace wattle::inline meter {

/// A chip of the hardware-monitoring class (Linux Documentation/hwmon/sysfs-interface.rst). Its files lie in
/// hwmonN/ or, where the driver hangs them on its own device as acpi_power_meter does, in hwmonN/device/.
struct HwmonChip {
  std::string entry;   ///< "hwmon3"
  std::string name;    ///< "ina3221", as the driver calls itself
  std::string folder;  ///< "/sys/class/hwmon/hwmon3"
};
std::vector<HwmonChip> hwmon_chips(Machine& machine);

/// Path of a file of the chip, in whichever of the two places it is; empty when it is in neither.
std::string hwmon_file(Machine& machine, const HwmonChip& chip, const std::string& leaf);
/// Its text; empty when there is none.
std::string hwmon_text(Machine& machine, const HwmonChip& chip, const std::string& leaf);
/// PCI address of the device behind the chip, "0000:03:00.0"; empty where it has none.
std::string pci_address(Machine& machine, const HwmonChip& chip);
/// Whether an amdgpu chip is that of a processor with graphics (APU), whose power is the whole package's.
bool is_apu(Machine& machine, const HwmonChip& chip);
/// Whether the driver shows graphics processors, a board's or supply's sensors, the processor.
bool is_graphics(const HwmonChip& chip);
bool is_board_sensor(const HwmonChip& chip);
bool is_processor(const HwmonChip& chip);

/// How one channel is read: a file, or the product of two.
struct ChannelFiles {
  std::string first, second;
  double scale = 1e-6;  ///< watts of one of the file's units; energy is kept in counts of Channel::unit
};

/// Channels that are numbers in files.
class FilesSource : public Source {
 public:
  FilesSource(Machine& machine, std::string name) : machine_(machine), name_(std::move(name)) {}
  std::string name() const override { return name_; }
  std::vector<Reading> read() override;
  /// Adds a channel when its files can be read; whether they can.
  bool add(const Channel& channel, const ChannelFiles& files);
  /// What the last reading of a channel would be now, for those that decide by it.
  Reading read_one(size_t channel);

 private:
  Machine& machine_;
  std::string name_;
  std::vector<ChannelFiles> files_;
};

/// A channel of power in microwatts, or of energy in microjoules, as hwmon shows them.
Channel hwmon_power(const std::string& name, const std::string& scope, double accuracy);
Channel hwmon_energy(const std::string& name, const std::string& scope, double accuracy);

/// One figure of a chip: its number and the files that it comes from.
struct HwmonFigure {
  int number = 0;
  std::string label;  ///< "System"; empty where the driver gives none
  bool energy = false;
  ChannelFiles files;
};
/// The figures of power and energy of a chip: energyN_input, powerN_input, or powerN_average.
std::vector<HwmonFigure> hwmon_figures(Machine& machine, const HwmonChip& chip);

}  // namespace wattle::inline meter
