// ACPI power meters: ACPI 6.5, section 10.4; Linux Documentation/hwmon/acpi_power_meter.rst.
#include <algorithm>
#include <cctype>
#include <cstdlib>

#include <fmt/format.h>

#include "base/utf8.h"
#include "meter/hwmon.h"

namespace wattle::inline meter {
namespace {

// The specification leaves the accuracy to the maker, who commonly states 5 % or nothing.
constexpr double kAcpiAccuracy = 0.05;

/// Meters of NVIDIA's Grace, told apart by power1_oem_info ("Grace Power Socket 0"), each inside the ones of
/// a lower level: NVIDIA Grace Performance Tuning Guide, "Power Telemetry".
struct NestedMeter {
  const char* info;
  int level;
  const char* scope;
};
constexpr NestedMeter kNested[] = {
    {"module power socket ", 0, "module"},  // regulators, memory, and a graphics processor on the module
    {"total power socket ", 0, "module"},  {"grace power socket ", 1, "package+dram"},
    {"cpu power socket ", 2, "rail"},      {"sysio power socket ", 2, "rail"},
};

struct Meter {
  HwmonChip chip;
  std::string info;
  const NestedMeter* nested = nullptr;
  int socket = 0;
  bool whole = false, battery = false;
};

/// `_PMD` of the firmware lists what a meter measures; the whole machine is the system bus of ACPI.
bool measures_the_machine(Machine& machine, const HwmonChip& chip) {
  const std::vector<std::string> measured = machine.list(chip.folder + "/device/measures");
  return std::any_of(measured.begin(), measured.end(),
                     [](const std::string& name) { return name.rfind("LNXSYBUS", 0) == 0; });
}

Meter describe(Machine& machine, const HwmonChip& chip) {
  Meter meter{chip, hwmon_text(machine, chip, "power1_oem_info")};
  meter.whole = measures_the_machine(machine, chip);
  meter.battery = hwmon_text(machine, chip, "power1_is_battery") == "1";
  const std::string info = lower_ascii(meter.info);
  for (const NestedMeter& kind : kNested) {
    if (info.rfind(kind.info, 0) != 0) continue;
    meter.nested = &kind;
    meter.socket = std::atoi(info.c_str() + std::string(kind.info).size());
  }
  return meter;
}

/// "95.0%" means that a reading is within 5 % of the truth; 100 % is no claim.
double accuracy_of(Machine& machine, const HwmonChip& chip) {
  const double percent = std::atof(hwmon_text(machine, chip, "power1_accuracy").c_str());
  return percent > 50 && percent < 100 ? 1 - percent / 100 : kAcpiAccuracy;
}

bool add_meter(Machine& machine, FilesSource& source, const Meter& meter) {
  std::string path = hwmon_file(machine, meter.chip, "power1_average");
  const bool averaged = !path.empty();
  if (!averaged) path = hwmon_file(machine, meter.chip, "power1_input");
  if (path.empty()) return false;
  const std::string name = meter.info.empty() ? "acpi-" + meter.chip.entry : meter.info;
  Channel channel = hwmon_power(name, meter.nested != nullptr ? meter.nested->scope : "wall",
                                accuracy_of(machine, meter.chip));
  channel.averaged = averaged;
  const std::string interval = hwmon_text(machine, meter.chip, "power1_average_interval");
  channel.stated_interval = 1e-3 * std::max(0.0, std::atof(interval.c_str()));  // milliseconds
  return source.add(channel, {path, "", 1e-6});
}

/// Whether a meter's power is in another one's.
bool lies_inside(const Meter& inner, const Meter& outer) {
  if (outer.battery) return false;
  if (outer.whole || inner.whole) return outer.whole && !inner.whole;
  return inner.nested != nullptr && outer.nested != nullptr && inner.socket == outer.socket &&
         outer.nested->level < inner.nested->level;
}

/// Leaves out every meter that lies inside another one. A meter that shows 0 W, as those of parts that a
/// board does not have do, holds nothing.
void leave_out_inner(FilesSource& source, const std::vector<Meter>& meters) {
  if (meters.size() < 2) return;
  std::vector<size_t> live;
  for (size_t i = 0; i < meters.size(); ++i) {
    if (meters[i].battery) {
      source.leave_out(i, "the power of a battery, not of the machine");
    } else if (source.read_one(i).watts <= 0) {
      source.leave_out(i, "it shows 0 W");
    } else {
      live.push_back(i);
    }
  }
  for (const size_t inner : live) {
    size_t outermost = inner;
    for (const size_t outer : live)
      if (lies_inside(meters[outermost], meters[outer])) outermost = outer;
    if (outermost != inner)
      source.leave_out(inner, fmt::format("inside {}, which is counted", source.channels()[outermost].name));
  }
}

std::string remark_of(const FilesSource& source, const std::vector<Meter>& meters) {
  int unnamed = 0;
  for (size_t i = 0; i < meters.size(); ++i)
    unnamed += source.channels()[i].left_out.empty() && meters[i].nested == nullptr;
  if (unnamed < 2) return "";
  return fmt::format(
      "{} ACPI power meters do not say what they measure; they are added, as supplies that share the load "
      "are",
      unnamed);
}

}  // namespace

Probe open_acpi_meter(Machine& machine) {
  auto source = std::make_unique<FilesSource>(machine, "acpi-power-meter");
  std::vector<Meter> meters;
  bool forbidden = false;
  for (const HwmonChip& chip : hwmon_chips(machine)) {
    if (chip.name != "power_meter") continue;
    const Meter meter = describe(machine, chip);
    if (add_meter(machine, *source, meter)) meters.push_back(meter);
    const std::string path = hwmon_file(machine, chip, "power1_average");
    forbidden |= !path.empty() && machine.access(path) == Access::kForbidden;
  }
  if (meters.empty() && forbidden)
    return {nullptr, "the ACPI power meter may be read by root alone",
            "sudo chmod a+r /sys/class/hwmon/*/device/power1_average"};
  if (meters.empty())
    return {nullptr, "no ACPI power meter in /sys/class/hwmon", "sudo modprobe acpi_power_meter"};
  leave_out_inner(*source, meters);
  if (std::none_of(source->channels().begin(), source->channels().end(),
                   [](const Channel& channel) { return channel.left_out.empty(); }))
    return {nullptr, "the ACPI power meters show 0 W", ""};
  const std::string remark = remark_of(*source, meters);
  return {std::move(source), "", "", remark};
}

}  // namespace wattle::inline meter
