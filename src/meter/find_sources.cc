#include "meter/find_sources.h"

#include <algorithm>

#include <fmt/format.h>
#include <wattle/error.h>

#include "base/processor_limits.h"
#include "meter/hwmon.h"
#include "meter/machine_meter.h"
#include "meter/source.h"

namespace wattle::inline meter {
namespace {

constexpr KnownSource kKnown[] = {
    {"rapl-perf", "processor", open_rapl_perf},
    {"rapl-powercap", "processor", open_rapl_powercap},
    {"rapl-msr", "processor", open_rapl_msr},
    {"processor-hwmon", "processor", open_processor_hwmon},
    {"amd-apu", "processor", open_amd_apu},
    {"acpi-power-meter", "machine", open_acpi_meter},
    {"apple-smc", "machine", open_apple_smc},
    {"ibm-occ", "machine", open_ibm_occ},
    {"power-supply", "machine", open_power_supply},
    {"ina", "machine", open_ina},
    {"battery", "machine", open_battery},
    {"nvml", "gpu", open_nvml},
    {"amdsmi", "gpu", open_amdsmi},
    {"gpu-hwmon", "gpu", open_gpu_hwmon},
    {"hwmon", "unknown", open_other_hwmon},
};

bool is(const KnownSource& known, const char* kind) {
  return std::string_view(known.kind) == kind;
}

/// Whether what a channel of such a scope measures has the machine's graphics processors in it.
bool holds_graphics(const Channel& channel) {
  constexpr std::string_view kScopes[] = {"wall", "system", "module", "rail", "battery"};
  return channel.left_out.empty() && std::ranges::count(kScopes, channel.scope) > 0;
}

bool counts_package(const Channel& channel) {
  return channel.left_out.empty() && channel.scope.rfind("package", 0) == 0;
}

bool asked_for(const std::string& wanted, const KnownSource& known) {
  const std::string name = known.name;
  return wanted == name || (name.rfind(wanted + "-", 0) == 0);
}

void add(Machine& machine, Sources& found, std::unique_ptr<Source> source) {
  found.recorders.push_back(std::make_unique<Recorder>(machine, std::move(source)));
}

/// Whether all energy counters of a source keep their counts while a processor works for a tenth of a second:
/// some hypervisors show counters that never move. A simulated machine's time takes no time, and its counters
/// are told.
bool stands_still(Machine& machine, Source& source) {
  constexpr double kSeconds = 0.1;
  const std::vector<Channel>& channels = source.channels();
  const bool counts =
      std::ranges::all_of(channels, [](const Channel& c) { return c.kind == Channel::Kind::kEnergy; });
  if (machine.simulated() || !counts || channels.empty()) return false;
  const auto total = [&] {
    uint64_t sum = 0;
    for (const Reading& reading : source.read()) sum += reading.ok ? reading.counts : 1;
    return sum;
  };
  const uint64_t before = total();
  const double end = machine.now() + kSeconds;
  while (machine.now() < end) {
    if (total() != before) return false;
  }
  return true;
}

void model_the_processor(Machine& machine, const MeterOptions& options, Sources& found) {
  const ProcessorId processor = describe_processor(machine);
  if (options.source == "model-package") {
    found.profile = package_profile(processor);
  } else if (!options.server.empty()) {
    found.profile = server_profile(options.server, processor);
  } else {
    found.profile = options.profile.empty() ? find_profile(processor) : load_profile(options.profile);
  }
  // A container is charged what it may use of the server.
  found.threads =
      processor_limits([&](const std::string& path) { return machine.read(path); }).usable(processor.threads);
}

/// One line: what was lost, and the command that gets it back.
std::string notice_of(const Sources& found) {
  std::string reason = "this machine shows no energy counter", cure;
  for (const Obstacle& obstacle : found.obstacles) {
    if (obstacle.cure.find("modprobe") != std::string::npos) continue;
    if (cure.empty() && !obstacle.cure.empty()) reason = obstacle.reason, cure = obstacle.cure;
  }
  return fmt::format(
      "energy is modelled ({}), not measured: {}; {}", found.profile->name, reason,
      cure.empty() ? "`wattle doctor` says what was looked for" : "for measured joules: " + cure);
}

void say(Sources& found, const std::string& line) {
  if (!line.empty()) found.notice += (found.notice.empty() ? "" : "; ") + line;
}

/// The sources that are used so far. The first one is the processor's or machine's, unless its scope is
/// "gpu".
std::vector<const Source*> used(const Sources& found) {
  std::vector<const Source*> sources;
  for (const auto& recorder : found.recorders) sources.push_back(&recorder->source());
  return sources;
}

bool counts_any(const Sources& found, bool (*holds)(const Channel&)) {
  return std::ranges::any_of(
      used(found), [&](const Source* source) { return std::ranges::any_of(source->channels(), holds); });
}

bool has_processor(const Sources& found) {
  return counts_any(
      found, [](const Channel& channel) { return channel.left_out.empty() && channel.scope != "gpu"; });
}

/// Whether a source adds to those that are used: the first of the processor or machine, and graphics
/// processors unless what is measured holds them already.
bool is_wanted(const KnownSource& known, const MeterOptions& options, const Sources& found) {
  return is(known, "gpu") ? options.gpu && !counts_any(found, holds_graphics) : !has_processor(found);
}

/// Whether amdgpu itself tells the power of boards, whatever AMD's library says of them.
bool driver_shows_boards(Machine& machine) {
  return std::ranges::any_of(hwmon_chips(machine), [&](const HwmonChip& chip) {
    return chip.name == "amdgpu" && !is_apu(machine, chip) && !hwmon_figures(machine, chip).empty();
  });
}

/// Opens a source and adds it, or says why it is not.
void try_source(Machine& machine, const MeterOptions& options, const KnownSource& known, Sources& found) {
  Probe probe = known.open(machine);
  const bool shown_otherwise = known.name == std::string_view("amdsmi") && driver_shows_boards(machine);
  if (!probe.source) {
    found.obstacles.push_back({known.name, probe.obstacle, probe.cure});
    // A driver that is installed and does not start hides boards that may well draw power.
    if (is(known, "gpu") && !probe.cure.empty() && !shown_otherwise)
      say(found,
          fmt::format("graphics processors are not in the figures: {}; try: {}", probe.obstacle, probe.cure));
    return;
  }
  if (options.source.empty() && stands_still(machine, *probe.source)) {
    found.obstacles.push_back({known.name, "its counters stand still under load", ""});
    say(found, fmt::format("{} is left out: its counters stand still under load", known.name));
    return;
  }
  if (options.source.empty() && is(known, "gpu")) {
    leave_out_held(machine, used(found), *probe.source);
    if (!counts_anything(*probe.source)) return;
  }
  if (!shown_otherwise) say(found, probe.remark);
  add(machine, found, std::move(probe.source));
}

}  // namespace

std::span<const KnownSource> known_sources() {
  return kKnown;
}

bool counts_anything(const Source& source) {
  return std::ranges::any_of(source.channels(), [](const Channel& c) { return c.left_out.empty(); });
}

void leave_out_held(Machine& machine, const std::vector<const Source*>& counted, Source& gpu) {
  std::vector<std::string> apus;
  for (const HwmonChip& chip : hwmon_chips(machine))
    if (is_apu(machine, chip)) apus.push_back(pci_address(machine, chip));
  for (size_t i = 0; i < gpu.channels().size(); ++i) {
    const Channel& board = gpu.channels()[i];
    const bool integrated = !board.place.empty() && std::ranges::count(apus, board.place) > 0;
    for (const Source* other : counted) {
      for (const Channel& channel : other->channels()) {
        if (!board.left_out.empty() || !channel.left_out.empty()) continue;
        if (holds_graphics(channel)) {
          gpu.leave_out(i, fmt::format("in what {} measures", other->name()));
        } else if (integrated && counts_package(channel)) {
          gpu.leave_out(i, fmt::format("a part of the processor's package, which {} counts", other->name()));
        } else if (!board.place.empty() && board.place == channel.place) {
          gpu.leave_out(
              i, fmt::format("{} of {} is the same board and is counted", channel.name, other->name()));
        }
      }
    }
  }
}

std::string source_names() {
  std::string names = "rapl";
  for (const KnownSource& known : kKnown)
    if (!is(known, "unknown")) names += std::string(", ") + known.name;
  return names + ", model, model-package, file:PATH[,UNIT], exec:COMMAND[,UNIT], shelly:HOST, tasmota:HOST";
}

Sources find_sources(Machine& machine, const MeterOptions& options) {
  Sources found;
  if (options.source == "model" || options.source == "model-package") {
    model_the_processor(machine, options, found);
    return found;
  }
  if (auto source = open_external(machine, options.source)) {
    add(machine, found, std::move(source));
    return found;
  }
  bool asked = options.source.empty();
  for (const KnownSource& known : kKnown) {
    if (is(known, "unknown") || (!options.source.empty() && !asked_for(options.source, known))) continue;
    asked = true;
    if (options.source.empty() && !is_wanted(known, options, found)) continue;
    try_source(machine, options, known, found);
  }
  if (!asked) fail("--source {}: is not known; one of {}", options.source, source_names());
  if (!options.source.empty() && found.recorders.empty()) {
    const Obstacle& first = found.obstacles.front();
    throw Error(
        fmt::format("--source {}: {}{}", options.source, first.reason,
                    first.cure.empty() ? "; `wattle doctor` says what there is" : "; try: " + first.cure),
        3);
  }
  if (options.source.empty() && !has_processor(found)) {
    model_the_processor(machine, options, found);
    say(found, notice_of(found));
  }
  return found;
}

}  // namespace wattle::inline meter
