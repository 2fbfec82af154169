#include "meter/hwmon.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace wattle::inline meter {
namespace {

const std::string kHwmon = "/sys/class/hwmon";
/// The greatest number that is looked for in powerN_input: amd_energy counts every core.
constexpr int kMostFigures = 1024;

}  // namespace

std::vector<HwmonChip> hwmon_chips(Machine& machine) {
  std::vector<HwmonChip> chips;
  for (const std::string& entry : machine.list(kHwmon)) {
    HwmonChip chip{entry, "", kHwmon + "/" + entry};
    chip.name = hwmon_text(machine, chip, "name");
    chips.push_back(std::move(chip));
  }
  return chips;
}

std::string hwmon_file(Machine& machine, const HwmonChip& chip, const std::string& leaf) {
  for (const char* place : {"/", "/device/"}) {
    const std::string path = chip.folder + place + leaf;
    if (machine.access(path) != Access::kMissing) return path;
  }
  return "";
}

std::string hwmon_text(Machine& machine, const HwmonChip& chip, const std::string& leaf) {
  const std::string path = hwmon_file(machine, chip, leaf);
  return path.empty() ? "" : machine.read(path).value_or("");
}

std::string pci_address(Machine& machine, const HwmonChip& chip) {
  const std::string key = "PCI_SLOT_NAME=";
  const std::string events = machine.read(chip.folder + "/device/uevent").value_or("");
  const size_t at = events.find(key);
  if (at == std::string::npos) return "";
  const size_t begin = at + key.size();
  return events.substr(begin, events.find('\n', begin) - begin);
}

bool is_apu(Machine& machine, const HwmonChip& chip) {
  // amdgpu shows the voltage of the north bridge on APUs alone, but for MI300A (device 0x74a0), which shows
  // none: linux drivers/gpu/drm/amd/pm/amdgpu_pm.c, hwmon_attributes_visible.
  return chip.name == "amdgpu" && (machine.read(chip.folder + "/in1_label").value_or("") == "vddnb" ||
                                   machine.read(chip.folder + "/device/device").value_or("") == "0x74a0");
}

bool is_graphics(const HwmonChip& chip) {
  return chip.name == "amdgpu" || chip.name == "xe" || chip.name == "nouveau" ||
         chip.name.rfind("i915", 0) == 0;
}

std::vector<Reading> FilesSource::read() {
  std::vector<Reading> readings;
  for (size_t i = 0; i < files_.size(); ++i) readings.push_back(read_one(i));
  return readings;
}

Reading FilesSource::read_one(size_t channel) {
  const ChannelFiles& files = files_[channel];
  const auto first = machine_.read_number(files.first);
  if (!first) return {};
  if (channels_[channel].kind == Channel::Kind::kEnergy) {
    if (*first < 0) return {};
    return {true, static_cast<uint64_t>(*first), 0};
  }
  double watts = *first * files.scale;
  if (!files.second.empty()) {
    const auto second = machine_.read_number(files.second);
    if (!second) return {};
    watts *= *second;
  }
  return {true, 0, std::abs(watts)};  // a shunt may be mounted the other way round
}

bool FilesSource::add(const Channel& channel, const ChannelFiles& files) {
  channels_.push_back(channel);
  files_.push_back(files);
  if (read_one(channels_.size() - 1).ok) return true;
  channels_.pop_back();
  files_.pop_back();
  return false;
}

Channel hwmon_power(const std::string& name, const std::string& scope, double accuracy) {
  Channel channel;
  channel.name = name;
  channel.scope = scope;
  channel.kind = Channel::Kind::kPower;
  channel.unit = 1e-3;
  channel.accuracy = accuracy;
  channel.max_watts = 20000;
  return channel;
}

Channel hwmon_energy(const std::string& name, const std::string& scope, double accuracy) {
  Channel channel = hwmon_power(name, scope, accuracy);
  channel.kind = Channel::Kind::kEnergy;
  channel.unit = 1e-6;
  return channel;
}

std::vector<HwmonFigure> hwmon_figures(Machine& machine, const HwmonChip& chip) {
  std::vector<HwmonFigure> figures;
  std::vector<std::string> leaves = machine.list(chip.folder);
  for (const std::string& leaf : machine.list(chip.folder + "/device")) leaves.push_back(leaf);
  for (const bool energy : {true, false}) {
    const std::string type = energy ? "energy" : "power";
    std::vector<int> numbers;
    for (const std::string& leaf : leaves) {
      if (leaf.rfind(type, 0) != 0) continue;
      const int number = std::atoi(leaf.c_str() + type.size());
      if (number > 0 && number <= kMostFigures) numbers.push_back(number);
    }
    std::sort(numbers.begin(), numbers.end());
    numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
    for (const int number : numbers) {
      const std::string stem = fmt::format("{}{}", type, number);
      std::string path = hwmon_file(machine, chip, stem + "_input");
      if (path.empty() && !energy) path = hwmon_file(machine, chip, stem + "_average");
      if (!path.empty())
        figures.push_back({number, hwmon_text(machine, chip, stem + "_label"), energy, {path, "", 1e-6}});
    }
  }
  return figures;
}

}  // namespace wattle::inline meter
