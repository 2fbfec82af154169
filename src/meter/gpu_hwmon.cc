// Graphics processors by their kernel drivers: amdgpu, xe, i915, nouveau.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "meter/hwmon.h"

namespace wattle::inline meter {
namespace {

// As for the makers' own libraries (gpu_sources.cc).
constexpr double kGpuAccuracy = 0.05;

std::string board_of(Machine& machine, const HwmonChip& chip) {
  const std::string place = pci_address(machine, chip);
  return place.empty() ? chip.entry : place;
}

/// xe counts the card and, in it, its package: Linux Documentation/ABI/testing/sysfs-driver-intel-xe-hwmon.
/// i915 counts the card, and each tile by a chip of its own, "i915_gt0".
int rank(const HwmonChip& chip, const std::string& label) {
  return chip.name.rfind("i915_gt", 0) == 0 ? 2 : label == "pkg" ? 1 : 0;
}

struct Figure {
  HwmonFigure figure;
  std::string board;
  int rank = 0;
};

std::vector<Figure> figures_of_boards(Machine& machine, std::map<std::string, bool>& boards) {
  std::vector<Figure> all;
  for (const HwmonChip& chip : hwmon_chips(machine)) {
    if (!is_graphics(chip) || is_apu(machine, chip)) continue;
    const std::string board = board_of(machine, chip);
    boards.emplace(board, false);
    for (const HwmonFigure& figure : hwmon_figures(machine, chip)) {
      if (!figure.energy && figure.number != 1) continue;
      all.push_back({figure, board, rank(chip, figure.label)});
    }
  }
  std::ranges::stable_sort(all, [](const Figure& a, const Figure& b) { return a.rank < b.rank; });
  return all;
}

}  // namespace

Probe open_gpu_hwmon(Machine& machine) {
  auto source = std::make_unique<FilesSource>(machine, "gpu-hwmon");
  std::map<std::string, bool> boards;  // whether something of it is counted
  for (const Figure& one : figures_of_boards(machine, boards)) {
    const bool power_beside_energy = boards[one.board] && !one.figure.energy;
    if (power_beside_energy) continue;
    const std::string part = one.rank == 0 ? "" : one.rank == 1 ? " package" : " tile";
    Channel channel =
        (one.figure.energy ? hwmon_energy : hwmon_power)("gpu " + one.board + part, "gpu", kGpuAccuracy);
    channel.max_watts = 2500;
    channel.place = one.board;
    if (boards[one.board] && one.rank > 0) channel.left_out = "a part of its card, which is counted";
    if (source->add(channel, one.figure.files)) boards[one.board] = true;
  }
  if (boards.empty()) return {nullptr, "no graphics processor in /sys/class/hwmon", ""};
  if (source->channels().empty())
    return {nullptr, "the drivers of the graphics processors tell neither energy nor power", ""};
  const auto silent = std::ranges::count(boards, false, &std::map<std::string, bool>::value_type::second);
  if (silent == 0) return {std::move(source), "", ""};
  return {std::move(source), "", "",
          fmt::format("{} of {} graphics processors tell neither energy nor power and are not in the figures",
                      silent, boards.size())};
}

}  // namespace wattle::inline meter
