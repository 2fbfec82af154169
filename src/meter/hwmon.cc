// Power sensors of the hardware-monitoring class and batteries: Linux
// Documentation/hwmon/sysfs-interface.rst, Documentation/ABI/testing/sysfs-class-power.
#include <algorithm>

#include <fmt/format.h>

#include "meter/source.h"

namespace wattle {
namespace {

// INA226/INA3221 data sheets: 0.1-0.5 % of the chip plus the shunt's 1 %. ACPI 6.5 section 10.4.1 leaves the
// accuracy to the maker, who commonly states 5 %. Battery gauges: 3 % of current (Smart Battery Data
// specification 1.1).
constexpr double kInaAccuracy = 0.02, kAcpiAccuracy = 0.05, kBatteryAccuracy = 0.05;

/// A power in watts as one file, or as the product of two.
struct PowerFiles {
  std::string first, second;
  double scale = 1e-6;
  std::string status;  ///< battery: a file that must say "Discharging"
};

class PowerFileSource : public Source {
 public:
  PowerFileSource(Machine& machine, std::string name) : machine_(machine), name_(std::move(name)) {}
  std::string name() const override { return name_; }
  const std::vector<Channel>& channels() const override { return channels_; }
  std::vector<Reading> read() override {
    std::vector<Reading> readings;
    for (const PowerFiles& files : files_) readings.push_back(read_one(files));
    return readings;
  }
  Reading read_one(const PowerFiles& files) {
    if (!files.status.empty() && machine_.read(files.status).value_or("") != "Discharging") return {};
    const auto first = machine_.read_number(files.first);
    if (!first) return {};
    double watts = *first * files.scale;
    if (!files.second.empty()) {
      const auto second = machine_.read_number(files.second);
      if (!second) return {};
      watts *= *second;
    }
    return {true, 0, std::abs(watts)};  // some gauges show discharge as negative
  }
  void add(const std::string& name, const std::string& scope, double accuracy, PowerFiles files,
           bool averaged = false, double stated_interval = 0) {
    if (!read_one(files).ok) return;
    Channel channel;
    channel.name = name;
    channel.scope = scope;
    channel.kind = Channel::Kind::kPower;
    channel.unit = 1e-3;
    channel.accuracy = accuracy;
    channel.averaged = averaged;
    channel.stated_interval = stated_interval;
    channel.max_watts = 20000;
    channels_.push_back(channel);
    files_.push_back(std::move(files));
  }
  /// Boards name the rail at their input; the other rails hang on it.
  void leave_out_rails() {
    const auto total = std::find_if(channels_.begin(), channels_.end(), [](const Channel& channel) {
      return channel.name.find("VDD_IN") != std::string::npos ||
             channel.name.find("5V_IN") != std::string::npos ||
             channel.name.find("total") != std::string::npos;
    });
    if (total == channels_.end()) return;
    for (Channel& channel : channels_) {
      if (&channel != &*total) channel.left_out = fmt::format("hangs on {}, which is counted", total->name);
    }
  }

 private:
  Machine& machine_;
  std::string name_;
  std::vector<Channel> channels_;
  std::vector<PowerFiles> files_;
};

const std::string kHwmon = "/sys/class/hwmon";

std::string label(Machine& machine, const std::string& file, const std::string& otherwise) {
  return machine.read(file).value_or(otherwise);
}

void add_ina(Machine& machine, PowerFileSource& source, const std::string& device) {
  for (int i = 1; i <= 8; ++i) {
    const std::string power = fmt::format("{}/power{}_input", device, i);
    const std::string volts = fmt::format("{}/in{}_input", device, i);
    const std::string amperes = fmt::format("{}/curr{}_input", device, i);
    const std::string name =
        "rail " + label(machine, fmt::format("{}/in{}_label", device, i),
                        label(machine, fmt::format("{}/power{}_label", device, i), fmt::format("{}", i)));
    if (machine.access(power) == Access::kFine) {
      source.add(name, "rail", kInaAccuracy, {power, "", 1e-6, ""});
    } else if (machine.access(amperes) == Access::kFine) {
      source.add(name, "rail", kInaAccuracy, {volts, amperes, 1e-6, ""});  // millivolts x milliamperes
    }
  }
}

}  // namespace

Probe open_acpi_meter(Machine& machine) {
  auto source = std::make_unique<PowerFileSource>(machine, "acpi-power-meter");
  for (const std::string& entry : machine.list(kHwmon)) {
    const std::string device = kHwmon + "/" + entry;
    if (machine.read(device + "/name").value_or("") != "power_meter") continue;
    const bool average = machine.access(device + "/power1_average") == Access::kFine;
    source->add("acpi-" + entry, "wall", kAcpiAccuracy,
                {device + (average ? "/power1_average" : "/power1_input"), "", 1e-6, ""}, average,
                machine.read_number(device + "/power1_average_interval").value_or(0) / 1000);
  }
  if (source->channels().empty())
    return {nullptr, "no ACPI power meter in /sys/class/hwmon", "sudo modprobe acpi_power_meter"};
  return {std::move(source), "", ""};
}

Probe open_ina(Machine& machine) {
  auto source = std::make_unique<PowerFileSource>(machine, "ina");
  for (const std::string& entry : machine.list(kHwmon)) {
    const std::string device = kHwmon + "/" + entry;
    if (machine.read(device + "/name").value_or("").rfind("ina", 0) == 0) add_ina(machine, *source, device);
  }
  if (source->channels().empty()) return {nullptr, "no INA power sensor in /sys/class/hwmon", ""};
  source->leave_out_rails();
  return {std::move(source), "", ""};
}

Probe open_battery(Machine& machine) {
  const std::string root = "/sys/class/power_supply";
  auto source = std::make_unique<PowerFileSource>(machine, "battery");
  bool found = false;
  for (const std::string& entry : machine.list(root)) {
    const std::string device = root + "/" + entry;
    if (machine.read(device + "/type").value_or("") != "Battery") continue;
    if (machine.read(device + "/scope").value_or("") == "Device") continue;  // a mouse
    found = true;
    if (machine.access(device + "/power_now") == Access::kFine) {
      source->add(entry, "battery", kBatteryAccuracy, {device + "/power_now", "", 1e-6, device + "/status"});
    } else {
      source->add(entry, "battery", kBatteryAccuracy,
                  {device + "/current_now", device + "/voltage_now", 1e-12, device + "/status"});
    }
  }
  if (!source->channels().empty()) return {std::move(source), "", ""};
  if (found) return {nullptr, "the battery is not discharging", "unplug the mains"};
  return {nullptr, "there is no battery in /sys/class/power_supply", ""};
}

}  // namespace wattle
