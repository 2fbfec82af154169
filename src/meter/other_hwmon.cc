#include <algorithm>

#include <fmt/format.h>

#include "meter/hwmon.h"

namespace wattle::inline meter {
namespace {

/// Batteries and supplies appear in hwmon too, by their names with _ for -.
bool is_supply(Machine& machine, const HwmonChip& chip) {
  return std::ranges::any_of(machine.list("/sys/class/power_supply"), [&](std::string entry) {
    std::ranges::replace(entry, '-', '_');
    return entry == chip.name;
  });
}

}  // namespace

Probe open_other_hwmon(Machine& machine) {
  auto source = std::make_unique<FilesSource>(machine, "hwmon");
  for (const HwmonChip& chip : hwmon_chips(machine)) {
    const bool known = is_graphics(chip) || is_board_sensor(chip) || is_processor(chip) ||
                       chip.name == "power_meter" || is_supply(machine, chip);
    if (known) continue;
    for (const HwmonFigure& figure : hwmon_figures(machine, chip)) {
      const std::string name = fmt::format(
          "{} {}", chip.name, figure.label.empty() ? fmt::format("{}", figure.number) : figure.label);
      Channel channel = (figure.energy ? hwmon_energy : hwmon_power)(name, "unknown", 0.05);
      channel.left_out = fmt::format("what it measures is not known; if you know it, --source file:{},{}",
                                     figure.files.first, figure.energy ? "uJ" : "uW");
      source->add(channel, figure.files);
    }
  }
  if (source->channels().empty()) return {nullptr, "no other sensor of power or energy", ""};
  return {std::move(source), "", ""};
}

}  // namespace wattle::inline meter
