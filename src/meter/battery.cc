// Batteries that discharge: Linux Documentation/ABI/testing/sysfs-class-power.
#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "meter/source.h"

namespace wattle::inline meter {
namespace {

// Gauges: 3 % of current and the voltage's part (Smart Battery Data specification 1.1).
constexpr double kAccuracy = 0.05;
/// More than any battery of a computer holds, in microwatt-hours: counts fall as it empties.
constexpr double kMostMicrowattHours = 1e12;

/// What gauges show, the best first. Power is the finest; charge and energy move in steps of up to 10 mWh.
enum class Way { kPower, kCurrent, kEnergy, kCharge };
struct WayFiles {
  Way way;
  const char *first, *second;
};
constexpr WayFiles kWays[] = {{Way::kPower, "power_now", ""},
                              {Way::kCurrent, "current_now", "voltage_now"},
                              {Way::kEnergy, "energy_now", ""},
                              {Way::kCharge, "charge_now", "voltage_now"}};

struct Battery {
  std::string folder;
  WayFiles files = kWays[0];
  double joules = 0;        ///< given since the opening, by charge and voltage
  double last_shown = NAN;  ///< of energy or charge, in millionths of hours
  int64_t step = 0;         ///< the greatest that all changes of it are multiples of; 0: it has not changed
  Reading last;             ///< while it discharged
};

class BatterySource : public Source {
 public:
  explicit BatterySource(Machine& machine) : machine_(machine) {}
  std::string name() const override { return "battery"; }
  std::vector<Reading> read() override {
    std::vector<std::string> states;
    for (const Battery& battery : batteries_) states.push_back(status(battery.folder));
    const bool discharging = std::ranges::count(states, "Discharging") > 0;
    std::vector<Reading> readings;
    for (size_t i = 0; i < batteries_.size(); ++i) {
      Battery& battery = batteries_[i];
      if (states[i] == "Discharging") {
        battery.last = take(battery);
        readings.push_back(battery.last);
      } else if (discharging && states[i] != "Charging") {
        readings.push_back(rest_of(i));  // it waits while another one is emptied
      } else {
        readings.push_back({false, 0, 0, 0, fmt::format("says \"{}\", not \"Discharging\"", states[i])});
      }
    }
    return readings;
  }
  std::string status(const std::string& folder) {
    return machine_.read(folder + "/status").value_or("nothing");
  }
  /// Adds a battery by the first way that it can be read; false when there is none.
  bool add(const std::string& entry, const std::string& folder) {
    Battery battery{folder};
    bool found = false;
    for (const WayFiles& files : kWays) {
      battery.files = files;
      const Reading reading = take(battery);
      const bool power = files.way == Way::kPower || files.way == Way::kCurrent;
      if (!reading.ok) continue;
      // Some gauges show a power that is always zero; then their energy tells, where they have it.
      if (power && reading.watts == 0 && status(folder) == "Discharging" && has_energy(folder)) continue;
      found = true;
      break;
    }
    if (!found) return false;
    channels_.push_back(channel_of(entry, battery.files.way));
    batteries_.push_back(battery);
    return true;
  }

 private:
  static Channel channel_of(const std::string& entry, Way way) {
    Channel channel;
    channel.name = entry;
    channel.scope = "battery";
    channel.accuracy = kAccuracy;
    channel.max_watts = 20000;
    channel.kind =
        way == Way::kPower || way == Way::kCurrent ? Channel::Kind::kPower : Channel::Kind::kEnergy;
    channel.unit = way == Way::kEnergy ? 3.6e-3 : way == Way::kCharge ? 1e-6 : 1e-3;
    return channel;
  }
  bool has_energy(const std::string& folder) {
    return machine_.read_number(folder + "/energy_now") || machine_.read_number(folder + "/charge_now");
  }
  /// How much less a gauge shows than before, and from now on the step of all its changes.
  static double given(Battery& battery, double shown) {
    const double less = std::isnan(battery.last_shown) ? 0 : battery.last_shown - shown;
    battery.step = std::gcd(battery.step, static_cast<int64_t>(std::abs(less)));
    battery.last_shown = shown;
    return less;
  }
  Reading take(Battery& battery) {
    const auto first = machine_.read_number(battery.folder + "/" + battery.files.first);
    const std::string second_file = battery.files.second;
    const auto second =
        second_file.empty() ? std::optional(0.0) : machine_.read_number(battery.folder + "/" + second_file);
    if (!first || !second) return {};
    switch (battery.files.way) {
      case Way::kPower:
        return {true, 0, 1e-6 * std::abs(*first)};  // some show discharge as negative
      case Way::kCurrent:
        return {true, 0, 1e-12 * std::abs(*first) * *second};
      case Way::kEnergy:
        given(battery, *first);
        return {true, static_cast<uint64_t>(std::max(0.0, kMostMicrowattHours - *first)), 0,
                static_cast<double>(battery.step) * 3600e-6};
      case Way::kCharge: {
        const double joules = 3600e-6 * *second * 1e-6;  // of a microampere-hour
        battery.joules += std::max(0.0, given(battery, *first)) * joules;
        return {true, static_cast<uint64_t>(1e6 * battery.joules), 0,
                static_cast<double>(battery.step) * joules};
      }
    }
    return {};
  }
  /// No power, and the energy that it has given until now.
  Reading rest_of(size_t i) {
    if (channels_[i].kind == Channel::Kind::kPower) return {true, 0, 0};
    if (!batteries_[i].last.ok) batteries_[i].last = take(batteries_[i]);
    return batteries_[i].last;
  }

  Machine& machine_;
  std::vector<Battery> batteries_;
};

}  // namespace

Probe open_battery(Machine& machine) {
  const std::string root = "/sys/class/power_supply";
  auto source = std::make_unique<BatterySource>(machine);
  std::string said, silent;
  bool discharging = false;
  for (const std::string& entry : machine.list(root)) {
    const std::string folder = root + "/" + entry;
    if (machine.read(folder + "/type").value_or("") != "Battery") continue;
    if (machine.read(folder + "/scope").value_or("") == "Device") continue;  // a mouse
    if (machine.read(folder + "/present").value_or("1") == "0") continue;    // an empty bay
    const std::string status = source->status(folder);
    said += fmt::format("{}{} says \"{}\"", said.empty() ? "" : ", ", entry, status);
    const bool added = source->add(entry, folder);
    discharging |= added && status == "Discharging";
    if (!added && status == "Discharging") silent = entry;
  }
  if (said.empty()) return {nullptr, "there is no battery in /sys/class/power_supply", ""};
  // A sum without one that gives power would look like a thriftier machine.
  if (!silent.empty())
    return {nullptr,
            fmt::format("battery {} discharges and shows none of power_now, current_now with voltage_now, "
                        "energy_now, charge_now with voltage_now",
                        silent),
            ""};
  if (!discharging) return {nullptr, "no battery is discharging: " + said, "unplug the mains"};
  return {std::move(source), "", ""};
}

}  // namespace wattle::inline meter
