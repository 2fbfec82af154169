#include "meter/find_sources.h"

#include <algorithm>

#include <fmt/format.h>
#include <wattle/error.h>

#include "base/processor_limits.h"
#include "meter/machine_meter.h"
#include "meter/source.h"

namespace wattle {
namespace {

constexpr KnownSource kKnown[] = {
    {"rapl-perf", "processor", open_rapl_perf},
    {"rapl-powercap", "processor", open_rapl_powercap},
    {"rapl-msr", "processor", open_rapl_msr},
    {"acpi-power-meter", "machine", open_acpi_meter},
    {"ina", "machine", open_ina},
    {"battery", "machine", open_battery},
    {"nvml", "gpu", open_nvml},
    {"amdsmi", "gpu", open_amdsmi},
};

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

}  // namespace

std::span<const KnownSource> known_sources() {
  return kKnown;
}

std::string source_names() {
  std::string names = "rapl";
  for (const KnownSource& known : kKnown) names += std::string(", ") + known.name;
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
  bool processor = false, machine_wide = false, asked = options.source.empty();
  for (const KnownSource& known : kKnown) {
    if (!options.source.empty() && !asked_for(options.source, known)) continue;
    asked = true;
    const bool gpu = std::string_view(known.kind) == "gpu";
    // A meter of the whole machine holds its graphics processors already.
    if (gpu ? options.source.empty() && (!options.gpu || machine_wide) : processor) continue;
    Probe probe = known.open(machine);
    if (!probe.source) {
      found.obstacles.push_back({known.name, probe.obstacle, probe.cure});
      // A driver that is installed and does not start hides boards that may well draw power.
      if (gpu && !probe.cure.empty())
        say(found, fmt::format("graphics processors are not in the figures: {}; try: {}", probe.obstacle,
                               probe.cure));
      continue;
    }
    if (options.source.empty() && stands_still(machine, *probe.source)) {
      found.obstacles.push_back({known.name, "its counters stand still under load", ""});
      say(found, fmt::format("{} is left out: its counters stand still under load", known.name));
      continue;
    }
    say(found, probe.remark);
    add(machine, found, std::move(probe.source));
    processor |= !gpu;
    machine_wide |= std::string_view(known.kind) == "machine";
  }
  if (!asked) fail("--source {}: is not known; one of {}", options.source, source_names());
  if (!options.source.empty() && found.recorders.empty()) {
    const Obstacle& first = found.obstacles.front();
    throw Error(
        fmt::format("--source {}: {}{}", options.source, first.reason,
                    first.cure.empty() ? "; `wattle doctor` says what there is" : "; try: " + first.cure),
        3);
  }
  if (options.source.empty() && !processor) {
    model_the_processor(machine, options, found);
    say(found, notice_of(found));
  }
  return found;
}

}  // namespace wattle
