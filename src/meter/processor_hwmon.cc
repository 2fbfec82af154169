// Processors whose energy or power the hardware-monitoring class shows, where RAPL's own doors are shut.
#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "meter/hwmon.h"

namespace wattle::inline meter {
namespace {

// AMD's figures are modelled by the processor itself (Schoene et al. 2021, CLUSTER); the others' makers state
// nothing.
constexpr double kAccuracy = 0.10;

/// A driver and the labels of what is counted; the others are parts of it.
struct ProcessorChip {
  const char* name;
  const char* counted;  ///< beginning of the label; empty: whatever there is
};
constexpr ProcessorChip kProcessors[] = {
    {"amd_energy", "Esocket"},  // Linux 5.8 to 5.12, Documentation/hwmon/amd_energy.rst
    {"amd_hsmp_hwmon", ""},     // drivers/platform/x86/amd/hsmp/hwmon.c: power of a socket
    {"fam15h_power", ""},       // Documentation/hwmon/fam15h_power.rst: power of a processor before Zen
    {"apm_xgene", ""},          // drivers/hwmon/xgene-hwmon.c: "CPU power" and "IO power"
};

}  // namespace

bool is_processor(const HwmonChip& chip) {
  return std::ranges::find(kProcessors, chip.name, &ProcessorChip::name) != std::end(kProcessors);
}

Probe open_processor_hwmon(Machine& machine) {
  auto source = std::make_unique<FilesSource>(machine, "processor-hwmon");
  std::string forbidden;
  for (const HwmonChip& chip : hwmon_chips(machine)) {
    const auto known = std::ranges::find(kProcessors, chip.name, &ProcessorChip::name);
    if (known == std::end(kProcessors)) continue;
    for (const HwmonFigure& figure : hwmon_figures(machine, chip)) {
      const std::string name =
          figure.label.empty() ? fmt::format("{}-{}", chip.entry, figure.number) : figure.label;
      const bool counted = name.rfind(known->counted, 0) == 0;
      Channel channel = (figure.energy ? hwmon_energy : hwmon_power)(name, "package", kAccuracy);
      if (!counted) channel.left_out = "a part of its socket, which is counted";
      if (!source->add(channel, figure.files) && counted &&
          machine.access(figure.files.first) == Access::kForbidden)
        forbidden = figure.files.first;
    }
  }
  // A sum without one of its sockets would look like a smaller machine.
  if (!forbidden.empty())
    return {nullptr, forbidden + " may be read by root alone", "sudo chmod a+r " + forbidden};
  if (source->channels().empty())
    return {nullptr, "no driver in /sys/class/hwmon shows the processor's energy or power", ""};
  return {std::move(source), "", ""};
}

Probe open_amd_apu(Machine& machine) {
  auto source = std::make_unique<FilesSource>(machine, "amd-apu");
  for (const HwmonChip& chip : hwmon_chips(machine)) {
    if (!is_apu(machine, chip)) continue;
    for (const HwmonFigure& figure : hwmon_figures(machine, chip)) {
      // power2 of some handhelds is another limit's mean ("fastPPT") of the same package.
      if (figure.energy || figure.number != 1) continue;
      Channel channel = hwmon_power(fmt::format("apu-{}", source->channels().size()), "package", kAccuracy);
      channel.place = pci_address(machine, chip);
      source->add(channel, figure.files);
    }
  }
  if (source->channels().empty())
    return {nullptr, "no amdgpu in /sys/class/hwmon is that of a processor with graphics", ""};
  return {std::move(source), "", ""};
}

}  // namespace wattle::inline meter
